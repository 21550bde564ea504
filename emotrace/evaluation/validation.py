"""How models do on the validation set, by which they are chosen."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emotrace.reruns.checksums import read_table


def read_validation(history_path: Path) -> dict[str, dict[str, float]]:
    """Return each target's scores on the validation set, of the epochs that were kept.

    Parameters
    ----------
    history_path : Path
        ``history.parquet`` of a training run; the means are over folds and seeds.

    Returns
    -------
    dict of str to dict
        For each target ``validation_loss``, the mean squared error, and ``validation_r2``:
        where the labels of a part never vary it has no R2 and does not count; nan if none
        has one.
    """
    history = read_table(history_path)
    best = history.loc[history.groupby(["target", "fold", "seed"])["validation_loss"].idxmin()]
    scores = best.groupby("target")[["validation_loss", "validation_r2"]].mean()
    return scores.to_dict("index")


def choose_best(rows: pd.DataFrame) -> pd.Series:
    """Choose the row with the highest ``validation_r2``, never looking at the tested clips.

    Where no row has one, the lowest ``validation_loss`` decides. Baselines have neither,
    and are never chosen.
    """
    if has_validation_r2(rows):
        return rows.loc[rows["validation_r2"].idxmax()]
    return rows.loc[rows["validation_loss"].idxmin()]


def has_validation_r2(rows: pd.DataFrame) -> bool:
    """Say whether the labels of the validation set vary, so that there is an R2."""
    return bool(rows["validation_r2"].notna().any())
