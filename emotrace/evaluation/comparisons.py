"""Test whether one model is better than another, on the same songs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from emotrace.evaluation.metrics import find_interval, resample_clips, score_clips
from emotrace.models.families import read_family

COMPARED = ("r2", "tau")

SIGNIFICANT = 0.05
"""Adjusted p-value; at or above it, two models count as tied."""

FEWEST_SONGS = 10
"""Smallest number of songs for a p-value. With fewer than about 60 songs, p is too large, which
is the safe side: R2 varies so much that no difference is significant."""


def name_controls(model: str) -> list[str]:
    """Return the control models of the same sizes, which show what a model's attention adds."""
    family, _, sizes = model.partition("_")
    return [f"{control}_{sizes}" for control in read_family(family).controls]


def compare_clips(first: pd.DataFrame, second: pd.DataFrame, n_samples: int) -> dict[str, float]:
    """Score two models on the same bootstrap samples of the clips.

    Songs that are hard for one model are hard for the other, so the difference is more precise
    than either score.

    Parameters
    ----------
    first, second : pandas.DataFrame
        Summaries of the same clips; see `emotrace.evaluation.metrics.summarise_clips`.
    n_samples : int
        Number of bootstrap samples.

    Returns
    -------
    dict of str to float
        ``r2_difference`` (first minus second) with ``_low`` and ``_high``, the same for tau, and
        ``p`` of the difference in R2. p assumes a normal distribution with the standard error of
        the bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter
        13); it is nan for fewer than `FEWEST_SONGS`, or without an R2.
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
    row["p"] = np.nan
    if len(first) >= FEWEST_SONGS and not np.isnan(row["r2_difference"]):
        differences = drawn[0]["r2"] - drawn[1]["r2"]
        error = max(np.std(differences[~np.isnan(differences)]), 1e-12)
        row["p"] = float(2 * norm.sf(abs(row["r2_difference"]) / error))
    return row


def adjust_for_comparisons(p: Sequence[float]) -> np.ndarray:
    """Adjust p-values for multiple comparisons by Holm's step-down method.

    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    stepped = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
