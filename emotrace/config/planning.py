"""What the workflow asks before it begins, and how it says what failed; imports nothing heavy."""

from __future__ import annotations

import getpass
import logging
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import yaml

from emotrace.config.schema import Config
from emotrace.config.suggestions import suggest
from emotrace.corpora import recipe as inspections
from emotrace.features import recipe as features
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.feasibility import check_feasibility, name_artist
from emotrace.training import recipe as training

_PLACES = re.compile(r'^WorkflowError in file ".*", line \d+:\n|\n  File ".*", line \d+, in .*')

UNQUOTED = re.compile(r"""[ \t\n'"`\\$&;|<>()]""")
"""Characters that a shell interprets unless they are quoted."""


def check_paths(repository: str) -> None:
    """Refuse paths with which Snakemake can start no job, or ends in a traceback.

    Parameters
    ----------
    repository : str
        The folder of the Snakefile.

    Raises
    ------
    EmotraceError
        Naming the path, and the character that is in the way.
    """
    if found := UNQUOTED.search(sys.executable):
        raise EmotraceError(
            f"{sys.executable}: Snakemake cannot start jobs with this Python, because its path "
            f"contains {found[0]!r}",
            hint="move the repository to a folder without blanks, quotation marks and the like in "
            "its path, and install it there again",
        )
    for path, hint in (
        (os.getcwd(), "rename it, or work in another one (--directory)"),
        (repository, "rename it, and install there again"),
    ):
        if "{" in path or "}" in path:
            raise EmotraceError(
                f"{path}: Snakemake takes braces in the name of this folder for wildcards",
                hint=hint,
            )


def check_drawn_clips(settings: Config) -> None:
    """Refuse a clip to draw that the corpus does not have, where that can be known yet.

    Raises
    ------
    EmotraceError
        Naming every such clip and the nearest id.
    """
    # Read even if no clip is to be drawn: a mistake in the list is best told at once.
    labels = settings.corpus.load().list_labels()
    if labels is None:
        return
    known = [clip_id for clip_id, _, _ in labels]
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


def name_user() -> None:
    """Give a user without a name one, as in many containers, for Snakemake asks for it."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())


def check_protocol(settings: Config) -> None:
    """Refuse a protocol by which the corpus cannot be divided, where that can be known yet.

    What is learnt of the clips later, that some are broken or have the same audio, is
    asked again when the corpus is built.

    Raises
    ------
    EmotraceError
        See `emotrace.splits.feasibility.check_feasibility`.
    """
    labels = settings.corpus.load().list_labels()
    if labels is None:
        return
    check_feasibility(
        settings.protocol.name,
        settings.protocol.folds,
        artists=[name_artist(artist, clip_id) for clip_id, artist, _ in labels],
        splits=[split for _, _, split in labels],
        n_recordings=len(labels),
    )


def plan_run(settings: Config) -> dict[str, Any]:
    """Gather what the results of an experiment are to be made with.

    Recipes are dictionaries here, because Snakemake compares no other objects.

    Returns
    -------
    dict
        ``corpus``; ``inspection``, the recipe by which audio is inspected; ``features``,
        that of each feature set; ``runs``, for each feature set that of each model;
        ``protocol``; ``seeds``.
    """
    runs: dict[str, dict[str, dict[str, Any]]] = {}
    for feature_set, model in settings.list_runs():
        runs.setdefault(feature_set, {})[model] = asdict(
            training.write_recipe(
                model,
                settings.training_of(model),
                new_torch_retrains=settings.new_torch_retrains,
            )
        )
    return {
        "corpus": settings.corpus.load().table_settings,
        "inspection": asdict(inspections.write_recipe()),
        "features": {
            name: asdict(features.write_recipe(name, settings.frames_of(name))) for name in runs
        },
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


def shorten_failure(record: logging.LogRecord) -> bool:
    """Leave out of what Snakemake says of a failure what the user has been told in better words.

    A job says what went wrong before it ends; see `emotrace.runtime.jobs.run_job`. What is left
    names the rule and the log. Of what is refused while planning, our own words are left.

    Parameters
    ----------
    record : logging.LogRecord
        Of Snakemake's logger.

    Returns
    -------
    bool
        Whether the record is to be logged at all.
    """
    event = getattr(record, "event", None)
    if event == "job_error":
        record.input = record.output = []
        if record.rule_msg is None:
            # Else the line "message: None".
            record.msg = ""
    if event == "error":
        text = record.getMessage()
        if "\nhint: " in text:
            # Ours, which needs no line of the Snakefile.
            record.msg, record.args = _PLACES.sub("", text), ()
        # It names a temporary copy of the script. A signal that ended a job is still told.
        return "returned non-zero exit status 1." not in text
    return True
