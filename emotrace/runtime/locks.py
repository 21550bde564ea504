"""Locks between processes; the kernel releases them when the holder ends, however it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS_BETWEEN_TRIES = 0.2


def try_lock(path: Path) -> int | None:
    """Lock a file, unless another process has locked it; create the file if necessary.

    Parameters
    ----------
    path : Path
        Path of the file.

    Returns
    -------
    int or None
        Descriptor that holds the lock until it is closed; None if another process holds the
        lock.

    Raises
    ------
    OSError
        If the file cannot be written, or its disk does not support locks.
    """
    # In a folder that others can write to, a link could point to any file.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        if _lock(descriptor):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock on a file, then hold it.

    Raises
    ------
    OSError
        See `try_lock`.
    """
    while (descriptor := try_lock(path)) is None:
        time.sleep(SECONDS_BETWEEN_TRIES)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock an open file, and return whether that succeeded."""
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
    else:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
