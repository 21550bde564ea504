"""Nothing is lost: runs are killed at random moments, or meet another one at work."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.workflow import ROOT, build_command, run_snakemake, succeed

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("EMOTRACE_KILLS", "20"))

EXPERIMENT: dict[str, Any] = {
    "corpus": {"name": "demo", "n_clips": 12, "duration_s": 20},
    "runs": [{"feature_sets": ["chroma"], "models": ["LSTM_16", "AT_16"]}],
    "evaluation": {"feature_set": "chroma", "baseline": "LSTM_16", "bootstrap_samples": 100},
    "training": {"max_epochs": 20},
    "seeds": [1, 2, 3],
}
"""Six fits a model: a training that is killed keeps those that it has made."""

Run = subprocess.Popen[bytes]
Tables = dict[str, bytes]


def read_tables(folder: Path) -> Tables:
    names = ("tables.csv", "comparisons.csv", "groups.csv")
    return {name: (folder / "results" / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tables, float]:
    """Return the tables of a run that nothing disturbs, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    started = time.monotonic()
    succeed(run_snakemake(folder, "tables", config=EXPERIMENT))
    return read_tables(folder), time.monotonic() - started


@pytest.fixture
def started() -> Iterator[list[Run]]:
    """Return a list of runs, of which nothing is left afterwards."""
    runs: list[Run] = []
    yield runs
    for run in runs:
        kill_all(run)


def start(folder: Path, config: dict[str, Any] = EXPERIMENT) -> Run:
    """Start a run in a process group of its own."""
    command = build_command(folder, "tables", config=config)
    with open(folder / "printed.txt", "wb") as printed:
        return subprocess.Popen(
            command, cwd=ROOT, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
        )


def kill_all(run: Run) -> None:
    """Kill a run and whatever is left of it."""
    try:
        os.killpg(run.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        run.wait()


def list_jobs(run: Run) -> dict[psutil.Process, str]:
    """Return the jobs that a run has at work, with their rules."""
    jobs = {}
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(run.pid).children():
            if script := re.search(r"/scripts/tmp\w+\.(\w+)\.py", " ".join(process.cmdline())):
                jobs[process] = script[1]
    return jobs


def list_workers(jobs: dict[psutil.Process, str]) -> dict[psutil.Process, str]:
    workers = {}
    with suppress(psutil.NoSuchProcess):
        for job, rule in jobs.items():
            for process in job.children():
                if "spawn_main" in " ".join(process.cmdline()):
                    workers[process] = f"Dask worker of {rule}"
    return workers


def wait_for_jobs(run: Run, number: int) -> bool:
    """Wait until so many jobs have been at work, the last of them still; False if none comes."""
    seen: set[psutil.Process] = set()
    while run.poll() is None:
        jobs = list_jobs(run)
        seen |= jobs.keys()
        if jobs and len(seen) >= number:
            return True
        time.sleep(0.02)
    return False


def kill_group(run: Run, draw: random.Random) -> str | None:
    jobs = list_jobs(run)
    kill_all(run)
    return f"all during {draw.choice([*jobs.values()])}" if jobs else None


def kill_one(run: Run, draw: random.Random) -> str | None:
    """Kill a job, a worker, or the main process, whose jobs then go on without it."""
    jobs = list_jobs(run)
    if not jobs:
        return None
    main = {psutil.Process(run.pid): "main process"}
    victim, name = draw.choice([*(jobs | list_workers(jobs) | main).items()])
    victim.kill()
    return f"one {name}"


def terminate(run: Run, draw: random.Random) -> str | None:
    """Do as a batch system does that needs the machine for another."""
    jobs = list_jobs(run)
    run.terminate()
    try:
        run.wait(5)
    except subprocess.TimeoutExpired:
        kill_all(run)
    return f"SIGTERM during {draw.choice([*jobs.values()])}" if jobs else None


def unlock(folder: Path) -> None:
    """Do what a user is told to after a kill."""
    if list((folder / ".snakemake/locks").glob("*")):
        succeed(run_snakemake(folder, "--unlock", config=EXPERIMENT))


def test_killed_runs_end_with_the_tables_of_an_undisturbed_run(
    tmp_path: Path, undisturbed: tuple[Tables, float], started: list[Run]
) -> None:
    expected, seconds = undisturbed
    draw = random.Random(20)
    hits: Counter[str] = Counter()
    finished = 0
    while hits.total() < KILLS:
        folder = tmp_path / str(finished)
        folder.mkdir(exist_ok=True)
        unlock(folder)
        started.append(run := start(folder))
        struck = False
        # At most one job further each time, so that no kind of job gets away.
        while hits.total() < KILLS and wait_for_jobs(run, draw.choice([1, 2])):
            time.sleep(draw.uniform(0, seconds / 10))
            struck = True
            if hit := draw.choice([kill_group, kill_one, terminate])(run, draw):
                hits[hit] += 1
        if run.wait() == 0:
            assert read_tables(folder) == expected
            finished += 1
        else:
            assert struck, (folder / "printed.txt").read_text()
    print(f"{finished} runs finished while they were killed")
    print("\n".join(f"{count:3} {hit}" for hit, count in sorted(hits.items())))
    folder = tmp_path / str(finished)
    folder.mkdir(exist_ok=True)
    unlock(folder)
    succeed(run_snakemake(folder, "tables", config=EXPERIMENT))
    assert read_tables(folder) == expected
    for rule in ("extract_features", "train_model"):
        assert any(rule in hit for hit in hits), f"no {rule} was hit"


def test_a_second_run_in_the_same_folder_is_refused_and_harms_nothing(
    tmp_path: Path, undisturbed: tuple[Tables, float], started: list[Run]
) -> None:
    started.append(first := start(tmp_path))
    assert wait_for_jobs(first, 1)
    second = run_snakemake(tmp_path, "tables", config=EXPERIMENT)
    assert first.poll() is None
    printed = second.stdout + second.stderr
    assert second.returncode != 0
    assert "Directory cannot be locked" in printed and str(tmp_path) in printed
    assert "Traceback" not in printed and "rule " not in printed
    assert first.wait() == 0, (tmp_path / "printed.txt").read_text()
    assert read_tables(tmp_path) == undisturbed[0]


def test_two_runs_at_once_share_a_store(
    tmp_path: Path, undisturbed: tuple[Tables, float], started: list[Run]
) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        started.append(start(folder, EXPERIMENT | {"store": str(tmp_path / "store")}))
    for run, folder in zip(started, folders, strict=True):
        assert run.wait() == 0, (folder / "printed.txt").read_text()
        assert read_tables(folder) == undisturbed[0]
    assert not list((tmp_path / "store").rglob(".*"))
