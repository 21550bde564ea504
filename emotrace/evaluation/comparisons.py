"""Whether one model is better than another, on the same songs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emotrace.evaluation.metrics import find_interval, resample_clips, score_clips

COMPARED = ("r2", "tau")

SIGNIFICANT = 0.05
"""Adjusted p at or above which two models are a tie."""


def compare_clips(first: pd.DataFrame, second: pd.DataFrame, n_samples: int) -> dict[str, float]:
    """Score two models on the same bootstrap samples of the clips.

    Songs that are hard are hard for both, so the difference is known better than
    either score.

    Parameters
    ----------
    first, second : pandas.DataFrame
        Of the same clips, as `emotrace.evaluation.metrics.summarise_clips` returns them.
    n_samples : int
        Bootstrap samples.

    Returns
    -------
    dict of str to float
        ``r2_difference`` (first less second) with ``_low`` and ``_high``, the same
        for tau, and ``p``: twice the share of samples in which the R2 of the one that
        is better is not (Efron and Tibshirani, "An Introduction to the Bootstrap",
        1993, section 15.4), at most 1.
    """
    second = second.loc[first.index]
    weights = resample_clips(len(first), n_samples)
    found = [score_clips(sums) for sums in (first, second)]
    drawn = [score_clips(sums, weights) for sums in (first, second)]
    row = {}
    for metric in COMPARED:
        row[f"{metric}_difference"] = float((found[0][metric] - found[1][metric]).item())
        low, high = find_interval(drawn[0][metric] - drawn[1][metric])
        row[f"{metric}_difference_low"], row[f"{metric}_difference_high"] = low, high
    differences = drawn[0]["r2"] - drawn[1]["r2"]
    contrary = min((differences <= 0).sum(), (differences >= 0).sum())
    # One is added to both, since the scores themselves are a sample too.
    row["p"] = min(1.0, 2 * (contrary + 1) / (n_samples + 1))
    return row


def adjust_for_comparisons(p: Sequence[float]) -> np.ndarray:
    """Adjust p-values for their number, by Holm's step-down method.

    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    stepped = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
