"""Questions that the workflow asks while it plans; imports nothing heavy."""

from __future__ import annotations

from typing import Any

from emotrace.config import Config, suggest
from emotrace.corpus.sources import list_clip_ids
from emotrace.errors import EmotraceError
from emotrace.features.identity import identify_feature_set
from emotrace.training.identity import identify_model


def refuse_unknown_clips(settings: Config) -> None:
    """Refuse a clip to draw that the corpus does not have, where that can be known yet.

    Raises
    ------
    EmotraceError
        Naming every such clip and the nearest id.
    """
    if not settings.figures.clips:
        return
    known = list_clip_ids(settings.corpus.model_dump(mode="json"))
    if known is None:
        return
    lines = [
        f"  figures.clips: {clip_id!r} is no clip of the corpus {settings.corpus.name}; "
        f"{suggest(clip_id, known)}"
        for clip_id in settings.figures.clips
        if clip_id not in set(known)
    ]
    if lines:
        raise EmotraceError(
            "\n".join(["the config is not valid:", *lines]),
            hint="figures.clips: [] lets emotrace choose",
        )


def identify_features(settings: Config, feature_set: str) -> dict[str, Any]:
    """Name what decides a feature set's values in an experiment."""
    return identify_feature_set(feature_set, settings.frames_of(feature_set))


def identify_training(settings: Config, model: str) -> dict[str, Any]:
    """Name what a model's fits have in common in an experiment."""
    return identify_model(
        model,
        settings.training_of(model),
        new_torch_retrains=settings.new_torch_retrains,
    )


def plan_run(settings: Config) -> dict[str, Any]:
    """Gather what the results of an experiment are to be made with.

    Returns
    -------
    dict
        ``corpus``; ``features``, the identity of each feature set; ``runs``, for each
        feature set the identity of each model; ``protocol``; ``seeds``.
    """
    runs: dict[str, dict[str, Any]] = {}
    for feature_set, model in settings.list_runs():
        runs.setdefault(feature_set, {})[model] = identify_training(settings, model)
    return {
        "corpus": settings.corpus.model_dump(mode="json"),
        "features": {name: identify_features(settings, name) for name in runs},
        "runs": runs,
        "protocol": settings.protocol.model_dump(mode="json"),
        "seeds": sorted(settings.seeds),
    }
