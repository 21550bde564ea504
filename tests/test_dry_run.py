"""Planned jobs reach us as data, and they are those that Snakemake prints."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from emotrace.reruns.dry_run import JOBS_FILE, JobWriter, PlannedJob, read_jobs
from tests.workflow import list_jobs, run_snakemake, succeed

CONFIG: dict[str, Any] = {
    "runs": [{"feature_sets": ["chroma"], "models": ["LSTM_4", "AT_4"]}],
    "evaluation": {"feature_set": "chroma", "baseline": "LSTM_4"},
}


def announce(path: Path, **fields: Any) -> None:
    record = {"event": "job_info", "rule_name": "make", "output": ["it"], "reason": ""}
    record |= {"wildcards": {}, **fields}
    JobWriter(path).handle(logging.makeLogRecord(record))


@pytest.mark.parametrize("quiet", [(), ("--quiet", "reason"), ("--quiet", "all")])
def test_the_jobs_are_those_that_snakemake_prints(
    tmp_path: Path, quiet: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Snakemake lists missing files in the order of a set.
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    planned = ("tables", "figures", "--dry-run")
    printed = succeed(run_snakemake(tmp_path, *planned, config=CONFIG))
    monkeypatch.setenv(JOBS_FILE, str(tmp_path / "jobs.jsonl"))
    succeed(run_snakemake(tmp_path, *planned, *quiet, config=CONFIG))
    jobs = read_jobs(tmp_path / "jobs.jsonl")
    assert [" ".join([job.rule, *job.wildcards.values()]) for job in jobs] == list_jobs(printed)
    for job in jobs:
        assert f"    reason: {job.reason}\n" in printed
    (demo,) = (job for job in jobs if job.rule == "synthesise_demo")
    assert demo.reason.startswith("Missing output files: ")


def test_a_wildcard_may_hold_any_character(tmp_path: Path) -> None:
    wildcards = {"family": "AT, BAT", "name": 'a=b "ü"\n'}
    announce(tmp_path / "jobs.jsonl", wildcards=wildcards, reason="Forced execution")
    (job,) = read_jobs(tmp_path / "jobs.jsonl")
    assert job == PlannedJob("make", "Forced execution", wildcards)


def test_milestones_and_other_messages_are_no_jobs(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.touch()
    announce(path, output=[])
    announce(path, event="job_finished")
    JobWriter(path).handle(logging.makeLogRecord({"msg": "Nothing to be done"}))
    assert read_jobs(path) == []


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        announce(tmp_path / "nowhere/jobs.jsonl")
