"""What is shown: the chosen models, and clips that stand for the others."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from emotrace import TARGETS
from emotrace.evaluation.validation import choose_best
from emotrace.models.families import parse_model_name
from emotrace.runtime.errors import EmotraceError


def choose_examples(
    validation: pd.DataFrame,
    annotations: pd.DataFrame,
    tested: Sequence[str],
    *,
    feature_set: str,
    baseline: str,
    families: Sequence[str],
    clips: Sequence[str],
) -> dict[str, Any]:
    """Decide what the figures show.

    Parameters
    ----------
    validation : pandas.DataFrame
        ``model``, ``target``, ``validation_r2`` and ``validation_loss`` of the models of
        `feature_set`.
    annotations : pandas.DataFrame
        The corpus's annotations.
    tested : sequence of str
        Clips that have predictions.
    feature_set : str
        The set that is drawn.
    baseline : str
        The model that the best one is compared with.
    families : sequence of str
        Trained families whose attention is drawn.
    clips : sequence of str
        Clips to draw; chosen here where empty.

    Returns
    -------
    dict
        ``clips``: the clips; ``baseline``: the model; ``best`` and each of
        `families`: for each target the model of any family, or of this one, that the
        validation set chose.

    Raises
    ------
    EmotraceError
        If a clip to draw was never tested.
    """
    unknown = sorted(set(clips) - set(tested))
    if unknown:
        raise EmotraceError(
            f"figures.clips: {', '.join(unknown)} has no prediction, because this protocol does "
            "not test it or it was left out as broken",
            hint=f"choose among the tested clips, such as {', '.join(sorted(tested)[:5])}",
        )
    trained = validation["model"].map(lambda model: parse_model_name(model)[0])
    examples = {
        "feature_set": feature_set,
        "clips": list(clips) or spread_clips(annotations[annotations["clip_id"].isin(tested)]),
        "baseline": baseline,
        "best": _choose_models(validation),
    }
    for family in families:
        examples[family] = _choose_models(validation[trained == family])
    return examples


def spread_clips(annotations: pd.DataFrame) -> list[str]:
    """Choose up to four clips, the furthest out in each quadrant of arousal and valence.

    Parameters
    ----------
    annotations : pandas.DataFrame
        Of the clips to choose from.

    Returns
    -------
    list of str
        From high to low arousal, positive valence first.
    """
    means = annotations.groupby("clip_id")[list(TARGETS)].mean()
    centred = (means - means.mean()) / means.std(ddof=0).replace(0, 1)
    # The nearer of its two borders tells how far a clip is inside a quadrant; a sum would
    # prefer clips that are extreme in one emotion alone.
    chosen = [
        (centred * np.array(signs)).min(axis=1).idxmax()
        for signs in itertools.product((1, -1), repeat=2)
    ]
    return list(dict.fromkeys(chosen))


def _choose_models(validation: pd.DataFrame) -> dict[str, str]:
    return {
        target: str(choose_best(validation[validation["target"] == target])["model"])
        for target in TARGETS
    }
