"""librosa's compiled functions, compiled once per machine and by one process at a time.

numba keeps what it compiles on disk, but two processes that write there at the
same time can leave code that crashes every later one. So a job compiles what it
needs before its workers start, while it holds a lock.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from emotrace.audio import SAMPLE_RATE
from emotrace.features import load_feature_set
from emotrace.features.sound import Sound
from emotrace.frames import FrameGrid


@cache
def compile_functions(feature_set: str, grid: FrameGrid) -> None:
    """Compile what a feature set calls, unless that was done before on this machine; once.

    To be called before numba is imported; the processes that this one starts then
    find the same compiled functions.

    Parameters
    ----------
    feature_set : str
        Name of the set.
    grid : FrameGrid
        Window and hop.
    """
    folder = Path(os.environ.setdefault("NUMBA_CACHE_DIR", str(_make_folder())))
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.1, round(2 * (1 + grid.window_s) * SAMPLE_RATE))
    sound = Sound(noise.astype(np.float32), SAMPLE_RATE, 1, grid)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        load_feature_set(feature_set).extract_frames(sound)


def _make_folder() -> Path:
    """Make a folder for this machine, since machines that share a home may differ."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "emotrace" / f"numba-{socket.gethostname()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="emotrace-numba-"))
    return folder
