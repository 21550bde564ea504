"""Choose the models and the example clips that figures show."""

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
    """Choose what the figures show.

    Parameters
    ----------
    validation : pandas.DataFrame
        ``model``, ``target``, ``validation_r2`` and ``validation_loss`` of the models of
        `feature_set`.
    annotations : pandas.DataFrame
        Annotations of the corpus.
    tested : sequence of str
        Ids of the clips that have predictions.
    feature_set : str
        Feature set of the models in the figures.
    baseline : str
        Model with which the best one is compared.
    families : sequence of str
        Trained families whose attention is drawn.
    clips : sequence of str
        Ids of the clips to draw; if empty, this function chooses them.

    Returns
    -------
    dict
        ``clips``: ids of the clips; ``baseline``: name of the model; ``best``: for each target,
        the model with the best score on the validation set; and each of `families`: the same
        among the models of this family.

    Raises
    ------
    EmotraceError
        If a clip to draw is not in any test set.
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
    """Choose up to four clips: the most extreme one in each quadrant of arousal and valence.

    Parameters
    ----------
    annotations : pandas.DataFrame
        Annotations of the clips to choose from.

    Returns
    -------
    list of str
        Ids from high to low arousal, positive valence first.
    """
    means = annotations.groupby("clip_id")[list(TARGETS)].mean()
    centred = (means - means.mean()) / means.std(ddof=0).replace(0, 1)
    # The distance to the nearer border shows how far inside a quadrant a clip is. A sum would
    # prefer clips that are extreme in only one emotion.
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
