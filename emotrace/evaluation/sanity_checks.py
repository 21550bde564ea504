"""Signs that a score is not to be believed; each stops the run."""

from __future__ import annotations

import math

import pandas as pd

from emotrace.runtime.errors import EmotraceError

TOO_GOOD = 0.97
"""R2 that nothing reaches by listening: a clip's own true mean reaches .98."""

FEWEST_SONGS = 10
"""Songs on which such an R2 is no luck."""


def check_for_leaks(metrics: pd.DataFrame) -> None:
    """Refuse scores that only a leak explains.

    Parameters
    ----------
    metrics : pandas.DataFrame
        As `emotrace.evaluation.scores.score_runs` returns it.

    Raises
    ------
    EmotraceError
        If a model's R2 is above `TOO_GOOD` on at least `FEWEST_SONGS`.
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
    """Refuse rows whose MAE and R2 cannot both be true for the labels at hand.

    Parameters
    ----------
    metrics : pandas.DataFrame
        As `emotrace.evaluation.scores.score_runs` returns it.

    Raises
    ------
    EmotraceError
        Naming the row and the R2 that its MAE allows.
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
    """Return the highest R2 that a MAE allows, 1 - MAE^2 / variance, since MAE <= RMSE."""
    return 1 - mae**2 / variance if variance > 0 else -math.inf
