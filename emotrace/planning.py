"""Questions that the workflow asks while it plans; imports nothing heavy."""

from __future__ import annotations

from typing import Any

from emotrace.config import Config
from emotrace.corpus.sources import list_clip_ids, list_labels
from emotrace.errors import EmotraceError
from emotrace.features.identity import identify_feature_set
from emotrace.suggestions import suggest
from emotrace.training.feasibility import name_artist, refuse_impossible
from emotrace.training.identity import identify_model


def refuse_unknown_clips(settings: Config) -> None:
    """Refuse a clip to draw that the corpus does not have, where that can be known yet.

    Raises
    ------
    EmotraceError
        Naming every such clip and the nearest id.
    """
    # Read even if no clip is to be drawn: a mistake in the list is best told at once.
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


def refuse_impossible_protocol(settings: Config) -> None:
    """Refuse a protocol by which the corpus cannot be divided, where that can be known yet.

    What is learnt of the clips later, that some are broken or have the same audio, is
    asked again when the corpus is built.

    Raises
    ------
    EmotraceError
        See `emotrace.training.feasibility.refuse_impossible`.
    """
    labels = list_labels(settings.corpus.model_dump(mode="json"))
    if labels is None:
        return
    refuse_impossible(
        settings.protocol.name,
        settings.protocol.folds,
        artists=[name_artist(artist, clip_id) for clip_id, artist, _ in labels],
        splits=[split for _, _, split in labels],
        n_recordings=len(labels),
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
        runs.setdefault(feature_set, {})[model] = identify_model(
            model,
            settings.training_of(model),
            new_torch_retrains=settings.new_torch_retrains,
        )
    return {
        "corpus": settings.corpus.model_dump(mode="json"),
        "features": {name: identify_feature_set(name, settings.frames_of(name)) for name in runs},
        "runs": runs,
        "protocol": settings.protocol.model_dump(mode="json"),
        "seeds": sorted(settings.seeds),
    }


def list_options(planning: Any, deployment: Any, resources: Any) -> list[str]:
    """List the options that decide, besides the config, what Snakemake would run.

    Parameters
    ----------
    planning, deployment, resources
        Snakemake's settings of the workflow, which hold those of the profiles too.
    """
    options = [
        # A profile could keep a dry run quiet.
        *("--profile", "none", "--workflow-profile", "none"),
        *("--max-checksum-file-size", str(planning.max_checksum_file_size)),
        *("--rerun-triggers", *map(str, planning.rerun_triggers)),
    ]
    if deployment.deployment_method:
        options += ["--software-deployment-method", *map(str, deployment.deployment_method)]
    if scatter := resources.overwrite_scatter:
        options += ["--set-scatter", *(f"{name}={number}" for name, number in scatter.items())]
    return options
