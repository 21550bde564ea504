"""Sanity checks of the scores; a failed check stops the run."""

from __future__ import annotations

import math

import pandas as pd

from emotrace.runtime.errors import EmotraceError

TOO_GOOD = 0.97
"""R2 that no prediction from audio can reach: the true mean of each clip reaches .98."""

FEWEST_SONGS = 10
"""Smallest number of songs on which such an R2 cannot be chance."""


def check_for_leaks(metrics: pd.DataFrame) -> None:
    """Check for scores that only a leak can explain.

    Parameters
    ----------
    metrics : pandas.DataFrame
        Scores, as returned by `emotrace.evaluation.scores.score_runs`.

    Raises
    ------
    EmotraceError
        If a model's R2 is above `TOO_GOOD` on at least `FEWEST_SONGS` songs.
    """
    for row in metrics.itertuples():
        if row.kind == "model" and row.r2 > TOO_GOOD and row.n_clips >= FEWEST_SONGS:
            raise EmotraceError(
                f"{row.target}, {row.model} on {row.feature_set}: R2 is {row.r2:.3f}, more than "
                f"{TOO_GOOD}, which no model reaches that only listens",
                hint="look for labels among the features, for tested clips among the training "
                "clips, or for the true previous label as an input",
            )


def check_consistency(metrics: pd.DataFrame) -> None:
    """Check that the MAE and the R2 of each row are possible together for the given labels.

    Parameters
    ----------
    metrics : pandas.DataFrame
        Scores, as returned by `emotrace.evaluation.scores.score_runs`.

    Raises
    ------
    EmotraceError
        If they are not. The error names the row and the largest R2 that its MAE allows.
    """
    for row in metrics.itertuples():
        bound = bound_r2(row.mae, row.truth_variance)
        if row.r2 > bound + 1e-9:
            raise EmotraceError(
                f"{row.target}, {row.model} on {row.feature_set}: R2 {row.r2:.3f} and MAE "
                f"{row.mae:.3f} cannot both be true, because this MAE allows an R2 of at most "
                f"{bound:.3f}",
                hint="the two were not computed from the same frames",
            )


def bound_r2(mae: float, variance: float) -> float:
    """Return the largest R2 that a MAE allows: 1 - MAE^2 / variance, since MAE <= RMSE."""
    return 1 - mae**2 / variance if variance > 0 else -math.inf
