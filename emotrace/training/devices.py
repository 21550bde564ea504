"""Which GPU a training job works on, when several jobs share a machine."""

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
"""What torch and the libraries behind it say when a GPU's memory does not suffice."""


@contextmanager
def claim_gpu(slots: int) -> Iterator[None]:
    """See but one GPU, one that fewer than `slots` jobs work on; wait if there is none.

    To be called before CUDA is initialised, which looks once for what is visible. A
    lock on a file stands for each slot of each GPU; the kernel lifts it when the job
    ends, however that happens. Where torch finds no GPU, nothing is claimed; where files
    cannot be locked, a GPU is taken at random.

    Parameters
    ----------
    slots : int
        Jobs that may share a GPU.
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
    """Tell whether a GPU's memory did not suffice, for which cuBLAS has no error of its own."""
    return any(words in str(error) for words in OUT_OF_MEMORY)


def _name_gpus(number: int) -> list[str]:
    """Name the visible GPUs as a job to which others are visible names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else map(str, range(number))
    return [name.strip() for name in names][:number]


def _claim_slot(names: list[str], slots: int) -> tuple[str, int | None]:
    """Return the name of the GPU, and the descriptor of its lock, where there are locks."""
    try:
        return _wait_for_slot(names, slots)
    except OSError as error:
        logger.warning(
            "GPUs cannot be locked (%s: %s), so this job takes one at random, which may be in "
            "use; TMPDIR can name a folder on a disk that supports locks",
            error.filename or tempfile.gettempdir(),
            error.strerror,
        )
        # Not always the first, so that simultaneous jobs rarely take the same one.
        return random.choice(names), None


def _wait_for_slot(names: list[str], slots: int) -> tuple[str, int]:
    """Return the name of the GPU, and the descriptor of its lock."""
    waiting = False
    while True:
        # A second job on a GPU only when each has a first.
        for slot in range(slots):
            for name in names:
                if (lock := _try_lock(name, slot)) is not None:
                    return name, lock
        if not waiting:
            logger.info("waiting for one of %d GPUs with %d jobs each", len(names), slots)
            waiting = True
        time.sleep(SECONDS_BETWEEN_TRIES)


def _try_lock(name: str, slot: int) -> int | None:
    # Jobs to which a batch system shows one GPU each may all know theirs as 0.
    allocation = os.environ.get("SLURM_JOB_ID", "")
    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir(), f"emotrace-gpus-{user}", allocation)
    folder.mkdir(parents=True, exist_ok=True)
    return try_lock(folder / f"{name.replace('/', '_')}.{slot}")
