"""How models do on the inner validation part, by which they are chosen."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emotrace.checksums import read_table


def read_validation(history_path: Path) -> dict[str, float]:
    """Return each target's inner validation R2 of the epoch whose weights were kept.

    Parameters
    ----------
    history_path : Path
        ``history.parquet`` of a training run; the mean is over folds and seeds.
    """
    history = read_table(history_path)
    best = history.loc[history.groupby(["target", "fold", "seed"])["validation_loss"].idxmin()]
    return best.groupby("target")["validation_r2"].mean().to_dict()


def choose_best(rows: pd.DataFrame) -> pd.Series:
    """Choose the row with the highest ``validation_r2``, never looking at the tested clips.

    References have none, and are never chosen.
    """
    return rows.loc[rows["validation_r2"].idxmax()]
