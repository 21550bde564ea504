"""Read scores on the validation set, and choose models by them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emotrace.reruns.checksums import read_table


def read_validation(history_path: Path) -> dict[str, dict[str, float]]:
    """Return the scores on the validation set at the epochs that were kept, for each target.

    Parameters
    ----------
    history_path : Path
        ``history.parquet`` of a training run; the scores are means over folds and seeds.

    Returns
    -------
    dict of str to dict
        For each target, ``validation_loss``, the mean squared error, and ``validation_r2``.
        Validation sets with constant labels have no R2 and are left out of its mean; it is nan
        if none has an R2.
    """
    history = read_table(history_path)
    best = history.loc[history.groupby(["target", "fold", "seed"])["validation_loss"].idxmin()]
    scores = best.groupby("target")[["validation_loss", "validation_r2"]].mean()
    return scores.to_dict("index")


def choose_best(rows: pd.DataFrame) -> pd.Series:
    """Choose the row with the highest ``validation_r2``, without looking at the test set.

    If no row has a ``validation_r2``, the lowest ``validation_loss`` decides. Baselines have
    neither and are never chosen.
    """
    if has_validation_r2(rows):
        return rows.loc[rows["validation_r2"].idxmax()]
    return rows.loc[rows["validation_loss"].idxmin()]


def has_validation_r2(rows: pd.DataFrame) -> bool:
    """Return whether the labels of the validation set vary, so that there is an R2."""
    return bool(rows["validation_r2"].notna().any())
