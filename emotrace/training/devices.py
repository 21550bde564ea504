"""Choose the GPU of a training job when several jobs share a machine."""

from __future__ import annotations

import logging
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from emotrace.runtime.locks import try_lock

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_TRIES = 1.0

OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Parts of the messages of torch and its libraries when a GPU runs out of memory."""


@contextmanager
def claim_gpu(slots: int) -> Iterator[None]:
    """Make one GPU visible on which fewer than `slots` jobs run; wait if there is none.

    Call this function before CUDA is initialised, since CUDA checks only once which GPUs are
    visible. Each slot of each GPU is represented by a lock on a file. The kernel releases the
    lock when the job ends, however it ends. If torch finds no GPU, nothing is locked. If files
    cannot be locked, a GPU is chosen at random.

    Parameters
    ----------
    slots : int
        Number of jobs that may share a GPU.
    """
    n_gpus = torch.cuda.device_count()
    if n_gpus == 0:
        yield
        return
    name, lock = _claim_slot(_name_gpus(n_gpus), slots)
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = name
        yield
    finally:
        if lock is not None:
            os.close(lock)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether a GPU ran out of memory; cuBLAS has no separate error class for this."""
    return any(words in str(error) for words in OUT_OF_MEMORY)


def _name_gpus(number: int) -> list[str]:
    """Return the names of the visible GPUs, as used by jobs that see other GPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else map(str, range(number))
    return [name.strip() for name in names][:number]


def _claim_slot(names: list[str], slots: int) -> tuple[str, int | None]:
    """Return the name of the GPU and the descriptor of its lock, or None without locks."""
    try:
        return _wait_for_slot(names, slots)
    except OSError as error:
        logger.warning(
            "GPUs cannot be locked (%s: %s), so this job takes one at random, which may be in "
            "use; TMPDIR can name a folder on a disk that supports locks",
            error.filename or tempfile.gettempdir(),
            error.strerror,
        )
        # Do not always take the first, so that simultaneous jobs rarely choose the same one.
        return random.choice(names), None


def _wait_for_slot(names: list[str], slots: int) -> tuple[str, int]:
    """Return the name of the GPU and the descriptor of its lock."""
    waiting = False
    while True:
        # Start a second job on a GPU only if every GPU has a first job.
        for slot in range(slots):
            for name in names:
                if (lock := _try_lock(name, slot)) is not None:
                    return name, lock
        if not waiting:
            logger.info("waiting for one of %d GPUs with %d jobs each", len(names), slots)
            waiting = True
        time.sleep(SECONDS_BETWEEN_TRIES)


def _try_lock(name: str, slot: int) -> int | None:
    # A batch system may give each job one GPU, and all jobs may see theirs as number 0.
    allocation = os.environ.get("SLURM_JOB_ID", "")
    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir(), f"emotrace-gpus-{user}", allocation)
    folder.mkdir(parents=True, exist_ok=True)
    return try_lock(folder / f"{name.replace('/', '_')}.{slot}")
