"""Training jobs share the GPUs of a machine, and a killed job keeps none of them."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from emotrace.training import devices
from emotrace.training.devices import claim_gpu
from tests.workflow import ROOT

pytestmark = pytest.mark.slow

JOB = """
import os, sys, torch
from emotrace.training.devices import claim_gpu
torch.cuda.device_count = lambda: 2
with claim_gpu({slots}):
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)


def start(slots: int, **environment: str) -> subprocess.Popen[str]:
    """Start a job on a machine with two GPUs that lasts until its input is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", JOB.format(slots=slots)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
    )


def read_gpu(job: subprocess.Popen[str]) -> int:
    ready, _, _ = select.select([job.stdout], [], [], 60)
    assert ready, "the job still waits"
    return int(job.stdout.readline())


def end(*jobs: subprocess.Popen[str]) -> None:
    for job in jobs:
        job.communicate()


@pytest.mark.parametrize(("slots", "gpus"), [(1, [0, 1]), (2, [0, 1, 0, 1])])
def test_each_job_has_its_gpu_and_the_next_one_waits(slots: int, gpus: list[int]) -> None:
    jobs = []
    for gpu in gpus:
        jobs.append(start(slots))
        assert read_gpu(jobs[-1]) == gpu
    late = start(slots)
    with pytest.raises(subprocess.TimeoutExpired):
        late.wait(3)
    os.kill(jobs[1].pid, signal.SIGKILL)  # a killed job leaves no lock behind
    assert read_gpu(late) == 1
    end(*jobs, late)


def test_gpus_that_others_do_not_see_are_others() -> None:
    first, second = start(1, CUDA_VISIBLE_DEVICES="4,7"), start(1, CUDA_VISIBLE_DEVICES="5,4")
    assert {read_gpu(first), read_gpu(second)} == {4, 5}
    third = start(1, CUDA_VISIBLE_DEVICES="4,7")  # the first has 4, so 7 is free
    assert read_gpu(third) == 7
    end(first, second, third)


def test_gpus_that_slurm_gave_to_different_jobs_are_different_ones() -> None:
    # Where Slurm hides the GPUs of others, each job counts its own from 0.
    jobs = [start(1, CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID=number) for number in ("7", "8")]
    assert [read_gpu(job) for job in jobs] == [0, 0]
    late = start(1, CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="8")
    with pytest.raises(subprocess.TimeoutExpired):
        late.wait(3)
    end(*jobs)
    assert read_gpu(late) == 0
    end(late)


def test_without_a_gpu_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(devices, "_try_lock", pytest.fail)
    with claim_gpu(1):
        pass


def test_a_job_takes_any_gpu_if_locks_do_not_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(fcntl, "flock", fail)
    with claim_gpu(1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] in ("4", "7")
    assert "GPUs cannot be locked" in caplog.text
    assert "TMPDIR" in caplog.text
