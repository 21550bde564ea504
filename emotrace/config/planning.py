"""Check and plan a run before it begins, and shorten Snakemake's messages about failures.

This module imports no large libraries.
"""

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
    """Check for paths with which Snakemake cannot start a job, or ends in a traceback.

    Parameters
    ----------
    repository : str
        Folder of the Snakefile.

    Raises
    ------
    EmotraceError
        If there is such a path. The error names it and the character that causes the problem.
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
    """Check that the corpus has all clips to draw, if its clips are already known.

    Raises
    ------
    EmotraceError
        If it lacks some. The error names each of them and the nearest existing id.
    """
    # Read the labels even if no clip is to be drawn, to report mistakes in the list early.
    labels = settings.corpus.load().list_labels()
    if labels is None:
        return
    known = [clip_id for clip_id, _, _ in labels]
    lines = [
        f"  figures.clips: {clip_id!r} is not a clip of the corpus {settings.corpus.name}; "
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
    """Suggest the id that YAML may have read as a number, or else the nearest id."""
    for other in known:
        if _read_yaml(other) == clip_id:
            return (
                f'YAML takes {other} for the number {clip_id}: put it in quotation marks, "{other}"'
            )
    return suggest(clip_id, known)


def _read_yaml(text: str) -> str | None:
    """Return the value of an unquoted id if YAML reads it as a number, otherwise None."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return None
    return str(value) if isinstance(value, int | float) else None


def name_user() -> None:
    """Set a user name if there is none, as in many containers, because Snakemake needs one."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())


def check_protocol(settings: Config) -> None:
    """Check that the protocol can divide the corpus, as far as its clips are already known.

    The check is repeated when the corpus is built, when broken clips and equal audio are known.

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
    """Collect everything that determines the results of an experiment.

    Recipes are dictionaries here, because Snakemake cannot compare other objects.

    Returns
    -------
    dict
        ``corpus``; ``inspection``, the recipe for inspecting audio; ``features``, the recipe of
        each feature set; ``runs``, the recipe of each model for each feature set; ``protocol``;
        ``seeds``.
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
    """List the options that, together with the config, determine what Snakemake would run.

    Parameters
    ----------
    planning, deployment, resources
        Snakemake's settings of the workflow, which include those of the profiles.
    """
    options = [
        # A profile could make a dry run quiet.
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
    """Remove from Snakemake's messages about failures what the user has already been told better.

    A job reports what went wrong before it ends; see `emotrace.runtime.jobs.run_job`. The rest of
    the message names the rule and the log. If planning raised one of our own errors, only its
    message is kept.

    Parameters
    ----------
    record : logging.LogRecord
        Record of Snakemake's logger, which is changed in place.

    Returns
    -------
    bool
        Whether to log the record at all.
    """
    event = getattr(record, "event", None)
    if event == "job_error":
        record.input = record.output = []
        if record.rule_msg is None:
            # Avoid the line "message: None".
            record.msg = ""
    if event == "error":
        text = record.getMessage()
        if "\nhint: " in text:
            # Our own errors do not need a line of the Snakefile.
            record.msg, record.args = _PLACES.sub("", text), ()
        # This line names a temporary copy of the script. Jobs ended by a signal are still reported.
        return "returned non-zero exit status 1." not in text
    return True
