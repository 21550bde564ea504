"""Estimate how well labels can be predicted at all, given how much the annotators disagree."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emotrace.evaluation.metrics import SUMS


def summarise_disagreement(frames: pd.DataFrame, n_annotators: int) -> pd.DataFrame:
    """Summarise the errors that remain if the mean perception of all listeners is known.

    A label is the mean of n annotators. Other annotators would give another label: it deviates
    from the mean of all listeners with the standard error s / sqrt(n), where s is the standard
    deviation of the annotators. A prediction of the mean of all listeners would therefore still
    have a mean squared error equal to the mean of s^2 / n and, for normal errors, a mean absolute
    error of sqrt(2 / pi) times the mean of s / sqrt(n).

    Parameters
    ----------
    frames : pandas.DataFrame
        ``clip_id``, ``truth`` and ``std``.
    n_annotators : int
        Number of annotators per clip.

    Returns
    -------
    pandas.DataFrame
        As returned by `emotrace.evaluation.metrics.summarise_clips`, but only with what R2, MAE
        and RMSE need; the rest is nan.
    """
    error = frames["std"] / np.sqrt(n_annotators)
    columns = pd.DataFrame(
        {
            "clip_id": frames["clip_id"],
            "frames": 1,
            "truth": frames["truth"],
            "truth_squared": frames["truth"] ** 2,
            "error_squared": error**2,
            "error_absolute": np.sqrt(2 / np.pi) * error,
        }
    )
    sums = columns.groupby("clip_id").sum().assign(clips=1.0, constant=0.0)
    return sums.reindex(columns=list(SUMS))
