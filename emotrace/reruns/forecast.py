"""Describe in words what the next run would do, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from emotrace.corpora.corpus import load_corpus
from emotrace.corpora.files import FILES, read_files, select_usable
from emotrace.corpora.listing import Changes, find_changes
from emotrace.features.extraction import list_requests
from emotrace.features.kept import KeptFrames
from emotrace.reruns.checksums import DamagedError, read_schema
from emotrace.reruns.dry_run import PlannedJob
from emotrace.reruns.recipe import Recipe
from emotrace.reruns.records import INCOMPLETE, UNKNOWN
from emotrace.reruns.store import Store

REASONS = {
    UNKNOWN: "nothing says what it was made with",
    INCOMPLETE: "a file of it, or one that it is made of, is missing",
    "Missing output files": "not made yet",
    "Updated input files": "what it is made of has changed",
    "Set of input files has changed": "it is made of more or fewer parts than before",
    "Params have changed": "its settings or its code have changed",
    "Forced execution": "asked for",
    "Input files updated by another job": "what it is made of changes",
}
"""Parts of Snakemake's reasons, and what they mean; the first part that is found counts.

Snakemake gives its reasons only as text, so they are recognised by their words.
"""

OTHER_REASONS = {
    "build_corpus": {
        "Params have changed": "annotations, protocol, its settings or its code have changed",
        "Input files updated by another job": "its audio files change",
    },
    "extract_features": {"Input files updated by another job": "the audio files change"},
    "train_model": {
        "Updated input files": "the features or the corpus have changed",
        "Input files updated by another job": "the corpus changes",
    },
    "evaluate_models": {"Input files updated by another job": "models or baselines change"},
}
"""Reasons that have a more precise meaning for a particular rule."""

NAMES = {
    "synthesise_demo": "demo music",
    "download_emomusic": "emoMusic",
    "inspect_audio": "audio files",
    "build_corpus": "corpus",
    "evaluate_models": "scores",
    "build_tables": "tables",
    "choose_examples": "choice of examples",
}
"""Products of the rules whose names do not say what they make, in the order of the run."""


@dataclass(frozen=True)
class Forecast:
    """The jobs that a dry run announces, and the plan of the run.

    Parameters
    ----------
    jobs : sequence of PlannedJob
        Jobs that Snakemake would run.
    plan : mapping
        Plan of the run; see `emotrace.config.planning.plan_run`.
    store : Store
        Store that the run would use.
    """

    jobs: Sequence[PlannedJob]
    plan: Mapping[str, Any]
    store: Store

    def describe(self) -> list[str]:
        """Describe what a run would do and why, in one line per product; empty if nothing."""
        corpus = ("synthesise_demo", "download_emomusic", "inspect_audio", "build_corpus")
        lines = [f"{NAMES[job.rule]}: {self._describe_files(job)}" for job in self._find(*corpus)]
        lines += [self._describe_extraction(job) for job in self._find("extract_features")]
        lines += _group(self._describe_training())
        told = {*corpus, "extract_shard", "extract_features", "train_model"}
        rest = [
            (_name_product(job), "", _say_why(job)) for job in self.jobs if job.rule not in told
        ]
        return lines + _group(rest)

    def _find(self, *rules: str) -> list[PlannedJob]:
        return [job for rule in rules for job in self.jobs if job.rule == rule]

    @cached_property
    def _changes(self) -> Changes:
        corpus = load_corpus(self.plan["corpus"])
        if not self._find("inspect_audio") or corpus.is_made_by_workflow:
            return Changes([], [], [])
        return find_changes(corpus)

    def _describe_files(self, job: PlannedJob) -> str:
        if job.rule != "inspect_audio" or not FILES.exists():
            return _say_why(job)
        changes = self._changes
        counts = (
            (len(changes.added), "new"),
            (len(changes.removed), "gone"),
            (len(changes.replaced), "with other audio"),
        )
        return ", ".join(f"{count} {what}" for count, what in counts if count) or _say_why(job)

    def _describe_extraction(self, job: PlannedJob) -> str:
        feature_set = job.wildcards["feature_set"]
        recipe = Recipe(**self.plan["features"][feature_set])
        table = Path(f"results/features/{feature_set}.parquet")
        why = _compare(_read_recipe(table), asdict(recipe))
        return f"{feature_set}: {self._count_clips(recipe)} ({'; '.join(why) or _say_why(job)})"

    def _count_clips(self, recipe: Recipe) -> str:
        if not FILES.exists():
            return "all clips to compute"
        changes = self._changes
        other = {*changes.removed, *changes.replaced}
        kept = KeptFrames(self.store, recipe)
        there = [
            kept.locate(request).exists()
            for request in list_requests(select_usable(read_files(FILES)), recipe)
            if request.clip_id not in other
        ]
        counts = (
            (len(changes.added) + len(changes.replaced), "new clips"),
            (there.count(False), "clips to compute"),
            (there.count(True), "kept"),
        )
        return ", ".join(f"{count} {what}" for count, what in counts if count)

    def _describe_training(self) -> Iterator[tuple[str, str, str]]:
        planned = {
            (job.wildcards["feature_set"], job.wildcards["model"]): job
            for job in self._find("train_model")
        }
        extracted = {job.wildcards["feature_set"] for job in self._find("extract_features")}
        for feature_set, models in self.plan["runs"].items():
            for model, recipe in models.items():
                job = planned.get((feature_set, model))
                if job is not None:
                    why = self._compare_training(job, recipe)
                    if feature_set in extracted:
                        why.append("the features may change")
                    yield model, feature_set, "; ".join(why) or _say_why(job)
                elif feature_set in extracted:
                    yield model, feature_set, "only if the features come out different"

    def _compare_training(self, job: PlannedJob, recipe: Mapping[str, Any]) -> list[str]:
        feature_set, model = job.wildcards["feature_set"], job.wildcards["model"]
        predictions = Path(f"results/runs/{feature_set}/{model}/predictions.parquet")
        expected = {
            **recipe,
            "protocol": self.plan["protocol"],
            "seeds": self.plan["seeds"],
        }
        return _compare(_read_recipe(predictions), expected)


def _say_why(job: PlannedJob) -> str:
    """Return the reason for which Snakemake plans a job, in plain words."""
    reasons = REASONS | OTHER_REASONS.get(job.rule, {})
    return next((words for sign, words in reasons.items() if sign in job.reason), job.reason)


def _read_recipe(table: Path) -> dict[str, Any] | None:
    """Read the recipe that a table was made with; None if the table is missing or damaged."""
    try:
        return json.loads((read_schema(table).metadata or {}).get(b"emotrace", b"null"))
    except (OSError, DamagedError):
        return None


def _compare(found: Mapping[str, Any] | None, expected: Mapping[str, Any]) -> list[str]:
    """Describe in which settings, versions and code two recipes differ."""
    lines = []
    for key, new in expected.items() if found else ():
        old = found.get(key)
        if key == "code" and old != new:
            lines.append("its code has changed")
        elif key == "seeds":
            lines += [f"seed {seed} is new" for seed in new if seed not in (old or ())]
            lines += [f"seed {seed} is gone" for seed in old or () if seed not in new]
        elif isinstance(new, Mapping):
            old = old or {}
            names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            lines += [f"{name} {old.get(name)} -> {new.get(name)}" for name in names]
    return lines


def _group(things: Iterable[tuple[str, str, str]]) -> list[str]:
    """Merge products with the same owner and reason into one line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for thing, owner, why in things:
        groups.setdefault((owner, why), []).append(thing)
    return [
        f"{', '.join(names)}{f' on {owner}' if owner else ''}: {why}"
        for (owner, why), names in groups.items()
    ]


def _name_product(job: PlannedJob) -> str:
    name = NAMES.get(job.rule, job.rule.partition("_")[2].replace("_", " "))
    return " ".join([name, *job.wildcards.values()])
