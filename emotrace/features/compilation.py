"""Compile librosa's numba functions once per machine, in one process at a time.

numba stores what it compiles on disk. If two processes write there at the same time, they can
leave code that crashes every later process. A job therefore compiles what it needs before its
workers start, while it holds a lock. If locking is not possible, it compiles in a folder of its
own.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from emotrace.audio.decoding import SAMPLE_RATE
from emotrace.audio.frames import FrameGrid
from emotrace.features import load_feature_set
from emotrace.features.sound import Sound
from emotrace.runtime.locks import hold_lock

logger = logging.getLogger(__name__)


@cache
def compile_functions(feature_set: str, grid: FrameGrid) -> None:
    """Compile the functions that a feature set calls, unless this machine has done so before.

    Call this function before numba is imported. The processes that this one starts then find
    the same compiled functions.

    Parameters
    ----------
    feature_set : str
        Name of the feature set.
    grid : FrameGrid
        Window and hop of the frames.
    """
    noise = np.random.default_rng(0).normal(0, 0.1, round(2 * (1 + grid.window_s) * SAMPLE_RATE))
    sound = Sound(noise.astype(np.float32), SAMPLE_RATE, 1, grid)
    with _hold_cache():
        load_feature_set(feature_set).extract_frames(sound)


@contextmanager
def _hold_cache() -> Iterator[None]:
    """Prevent other jobs from writing to numba's folder, and set it in the environment."""
    with ExitStack() as stack:
        try:
            folder = Path(os.environ.get("NUMBA_CACHE_DIR") or _name_folder())
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold_lock(folder / "lock"))
            with tempfile.TemporaryFile(dir=folder):
                pass
        except (OSError, RuntimeError) as error:
            folder = _make_private_folder()
            logger.info(
                "librosa is compiled for this job alone, in %s, because the shared folder cannot "
                "be used (%s); NUMBA_CACHE_DIR can name another one",
                folder,
                error,
            )
        os.environ["NUMBA_CACHE_DIR"] = str(folder)
        yield


def _name_folder() -> Path:
    """Return a folder for this machine, since machines that share a home folder may differ.

    Raises
    ------
    RuntimeError
        If there is no home folder.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "emotrace" / f"numba-{socket.gethostname()}"


def _make_private_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="emotrace-numba-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
