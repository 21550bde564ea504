"""Questions that the workflow asks while it plans; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from emotrace.config import Config
from emotrace.corpus.sources import list_clip_ids
from emotrace.errors import EmotraceError
from emotrace.features.identity import identify_feature_set
from emotrace.suggestions import suggest
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
        f"{_suggest_clip(clip_id, known)}"
        for clip_id in settings.figures.clips
        if clip_id not in set(known)
    ]
    if lines:
        raise EmotraceError(
            "\n".join(["the config is not valid:", *lines]),
            hint="figures.clips: [] lets emotrace choose",
        )


def _suggest_clip(clip_id: str, known: Iterable[str]) -> str:
    """Suggest the id that YAML may have taken for a number, or else the nearest one."""
    for other in known:
        if _read_yaml(other) == clip_id:
            return (
                f'YAML takes {other} for the number {clip_id}: put it in quotation marks, "{other}"'
            )
    return suggest(clip_id, known)


def _read_yaml(text: str) -> str | None:
    """Return how an id without quotation marks reads if YAML takes it for a number."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return None
    return str(value) if isinstance(value, int | float) else None


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
