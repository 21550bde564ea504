"""Signs that a score is not to be believed; each stops the run."""

from __future__ import annotations

import pandas as pd

from emotrace.errors import EmotraceError

TOO_GOOD = 0.97
"""R2 that nothing reaches by listening: a clip's own true mean reaches .98."""

CHANCE = 0.1
"""R2 that labels dealt to other clips may reach by luck."""


def refuse_leaks(metrics: pd.DataFrame) -> None:
    """Refuse scores that only a leak explains.

    Parameters
    ----------
    metrics : pandas.DataFrame
        As `emotrace.evaluation.scores.score_runs` returns it.

    Raises
    ------
    EmotraceError
        If a model's R2 is above `TOO_GOOD`, or if what was learnt from shuffled labels
        is better than chance on the tested clips.
    """
    for row in metrics.itertuples():
        name = f"{row.target}, {row.model} on {row.feature_set}"
        if row.kind == "model" and row.r2 > TOO_GOOD:
            raise EmotraceError(
                f"{name}: R2 is {row.r2:.3f}, more than {TOO_GOOD}, which no model reaches that "
                "only listens",
                hint="look for labels among the features, for tested clips among the training "
                "clips, or for the true previous label as an input",
            )
        if row.model == "ShuffledRidge" and row.r2_low > CHANCE:
            raise EmotraceError(
                f"{name}: learnt from labels that were dealt to other clips, and still its R2 is "
                f"{row.r2:.3f} (at least {row.r2_low:.3f})",
                hint="look for tested clips among the training clips, such as one file under "
                "several clip_ids",
            )


def refuse_contradictions(metrics: pd.DataFrame) -> None:
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
    return 1 - mae**2 / variance
