"""A real Slurm of one node runs the workflow through its profile, and no work is lost."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.slurm import is_installed, list_jobs, run_slurm
from tests.workflow import ROOT, build_command, run_snakemake, succeed

pytestmark = pytest.mark.slow

EXPERIMENT: dict[str, Any] = {
    "corpus": {"name": "demo", "n_clips": 12, "duration_s": 12},
    "runs": [{"feature_sets": ["chroma"], "models": ["LSTM_8", "AT_8"]}],
    "evaluation": {"feature_set": "chroma", "baseline": "LSTM_8", "bootstrap_samples": 100},
    "training": {"max_epochs": 3},
    "seeds": [1],
}

LONG = EXPERIMENT | {
    "runs": [{"feature_sets": ["chroma"], "models": ["LSTM_256"]}],
    "evaluation": {"feature_set": "chroma", "baseline": "LSTM_256", "bootstrap_samples": 100},
    "training": {"max_epochs": 100_000, "patience": 100_000, "batch_size": 1},
}
"""More epochs than a job may last."""

SITE = {
    "slurm-status-command": "squeue",
    "slurm-init-seconds-before-status-checks": "3",
    "seconds-between-status-checks": "3",
    "max-threads": "2",
    "set-scatter": "extraction=2",
    "latency-wait": "5",
}
"""What this one node differs in from what the profile expects."""

Environment = dict[str, str]
Run = subprocess.Popen[bytes]
Submit = Callable[..., Run]

PRINTED = "printed.txt"
"""Where a run prints to."""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    if not is_installed():
        pytest.skip("needs root and the Debian packages slurm-wlm and munge")
    with run_slurm(tmp_path_factory.mktemp("slurm"), cpus=2) as environment:
        yield environment


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of the experiment as this machine makes them by itself."""
    folder = tmp_path_factory.mktemp("local")
    succeed(run_snakemake(folder, "tables", config=EXPERIMENT))
    return folder / "results"


@pytest.fixture
def submit(slurm: Environment, tmp_path: Path) -> Iterator[Submit]:
    """Return what starts the workflow with the profile."""
    started = []

    def start(config: dict[str, Any], *arguments: str) -> Run:
        command = build_command(tmp_path, "tables", *arguments, config=config)
        command += ["--workflow-profile", str(ROOT / "profiles/slurm")]
        command += [f"--{option}={value}" for option, value in SITE.items()]
        with open(tmp_path / PRINTED, "w") as printed:
            streams = {"stdout": printed, "stderr": printed}
            started.append(subprocess.Popen(command, env=slurm, cwd=ROOT, **streams))
        return started[-1]

    yield start
    for run in started:
        run.kill()
        run.wait()


def wait_for(condition: Callable[[], Any], run: Run, folder: Path) -> Any:
    """Wait, for ten minutes at most, until something is true of a run that goes on."""
    for _ in range(3000):
        if found := condition():
            return found
        assert run.poll() is None, (folder / PRINTED).read_text()[-6000:]
        time.sleep(0.2)
    raise AssertionError((folder / PRINTED).read_text()[-6000:])


def list_trainings(environment: Environment, *states: str) -> list[dict[str, str]]:
    jobs = list_jobs(environment)
    return [
        job
        for job in jobs
        if "train_model" in job["comment"] and (job["state"] in states or not states)
    ]


def test_tables_are_those_of_a_local_run_though_a_job_was_cancelled(
    slurm: Environment, submit: Submit, local: Path, tmp_path: Path
) -> None:
    run = submit(EXPERIMENT, "--set-resources", "train_model:slurm_partition=gpu")
    running = wait_for(lambda: list_trainings(slurm, "RUNNING"), run, tmp_path)
    subprocess.run(["scancel", running[0]["id"]], env=slurm, check=True)
    status = run.wait(600)
    printed = (tmp_path / PRINTED).read_text()
    assert status == 0, printed[-6000:]
    tables = [pd.read_csv(folder / "tables.csv") for folder in (tmp_path / "results", local)]
    pd.testing.assert_frame_equal(*tables)
    trainings = list_trainings(slurm)
    assert {job["partition"] for job in trainings} == {"gpu"}
    assert sorted(job["state"] for job in trainings) == ["CANCELLED", "COMPLETED", "COMPLETED"]
    extractions = [job for job in list_jobs(slurm) if "extract_shard" in job["comment"]]
    assert [job["state"] for job in extractions] == ["COMPLETED", "COMPLETED"]
    # What takes a moment does not wait in the queue.
    assert "localrule evaluate_models" in printed and "localrule build_tables" in printed


def test_a_job_that_ran_out_of_time_goes_on(
    slurm: Environment, submit: Submit, tmp_path: Path
) -> None:
    run = submit(LONG, "--set-resources", "train_model:runtime=1")
    wait_for(lambda: list_trainings(slurm, "TIMEOUT"), run, tmp_path)
    log = tmp_path / "logs/train_model/chroma_LSTM_256.log"
    wait_for(lambda: log.exists() and "going on after epoch" in log.read_text(), run, tmp_path)


def list_workers(environment: Environment) -> list[dict[str, str]]:
    return [job for job in list_jobs(environment) if job["name"] == "dask-worker"]


def test_workers_that_dask_submits_compute_the_same_features_though_all_are_lost(
    slurm: Environment, local: Path, tmp_path: Path
) -> None:
    options = ("--config", "dask_cluster=slurm")
    succeed(run_snakemake(tmp_path, "corpus", config=EXPERIMENT))
    command = build_command(tmp_path, "features", *options, config=EXPERIMENT)
    with open(tmp_path / PRINTED, "w") as printed:
        run = subprocess.Popen(command, env=slurm, cwd=ROOT, stdout=printed, stderr=printed)
    try:
        store = tmp_path / "store/features"
        wait_for(lambda: list(store.glob("*/*/*/[0-9a-f]*")), run, tmp_path)
        for job in list_workers(slurm):
            subprocess.run(["scancel", job["id"]], env=slurm, check=True)
        assert run.wait(600) == 0, (tmp_path / PRINTED).read_text()[-6000:]
    finally:
        run.kill()
    digests = [folder / "features/chroma.digest" for folder in (tmp_path / "results", local)]
    assert digests[0].read_text() == digests[1].read_text()
    assert "12 computed, 0 reused" in (tmp_path / "logs/extract_features/chroma.log").read_text()
    assert "CANCELLED" in {job["state"] for job in list_workers(slurm)}


def test_workers_that_slurm_does_not_take_end_in_a_hint(slurm: Environment, tmp_path: Path) -> None:
    environment = slurm | {"DASK_JOBQUEUE__SLURM__QUEUE": "no_such_partition"}
    command = build_command(
        tmp_path, "features", "--config", "dask_cluster=slurm", config=EXPERIMENT
    )
    refused = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    printed = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "no workers can be submitted (sbatch: error: invalid partition" in printed, printed
    assert "Traceback" not in printed
