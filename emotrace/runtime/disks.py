"""Disks that are full and folders that may not be written to, in words."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.paths import expand_path

FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)

LEAST_ROOM = 100_000
"""Bytes that must be free before a run begins; Snakemake's notes about it take that much."""


def explain_refusal(error: OSError, *written: str | Path) -> EmotraceError | None:
    """Say which disk is full or what may not be written, or None if it is neither.

    Parameters
    ----------
    error : OSError
    *written : str or Path
        What was to be written, where the error does not say.
    """
    # Of two names, the second is what would have been written.
    path = error.filename2 or error.filename or ", ".join(map(str, written))
    reason = os.strerror(error.errno or 0)
    if error.errno in FULL:
        return EmotraceError(
            f"{path} cannot be written ({reason}); left are {_measure_room()}",
            hint="make room there, then start the same command again",
        )
    if error.errno in FORBIDDEN:
        return EmotraceError(
            f"{path}: {reason}",
            hint="give yourself the right to it or work in another folder (--directory), then "
            "start the same command again",
        )
    return None


def check_working_folder() -> None:
    """Refuse a working folder, or one for temporary files, where Snakemake ends in a traceback.

    Raises
    ------
    EmotraceError
        Naming the folder, and why.
    """
    for folder in filter(Path.is_dir, (Path.cwd(), Path.cwd() / "results")):
        try:
            _try_writing(folder)
        except OSError as error:
            raise explain_refusal(error) or error from None
    try:
        _try_writing(_find_temporary_folder())
    except OSError as error:
        # Where it may not be written to or is not there, others are tried.
        if error.errno in FULL:
            raise explain_refusal(error) from None


def _try_writing(folder: Path) -> None:
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(LEAST_ROOM))
    except OSError as error:
        error.filename = str(folder)
        raise


def _find_temporary_folder() -> Path:
    """Return the folder of TMPDIR even if it is full, unlike `tempfile`."""
    try:
        return Path(os.environ.get("TMPDIR") or tempfile.gettempdir())
    except FileNotFoundError:  # no folder of this machine takes any
        return Path.cwd()


def silence_lost_log_lines() -> None:
    """Let `logging` pass over what it cannot write, for the rest of this process.

    A run that is refused because its folder is full loses Snakemake's log too, and `logging`
    would print a page for each lost line.
    """
    logging.raiseExceptions = False


def silence_unclosed_files() -> None:
    """Let Python pass over files that a full disk keeps from closing, for the rest of this process.

    After a job has said that its disk is full, Python closes what is still open as late as it
    ends the process, and would print a page for each file. It still reports other errors.
    """
    report = sys.unraisablehook

    def report_others(unraisable: Any) -> None:
        error = unraisable.exc_value
        if not (isinstance(error, OSError) and error.errno in FULL):
            report(unraisable)

    sys.unraisablehook = report_others


def check_store_folder(store: str) -> None:
    """Refuse a store that neither is a folder nor can become one.

    Parameters
    ----------
    store : str
        The config's key ``store``.

    Raises
    ------
    EmotraceError
        Naming what is in the way.
    """
    hint = "name a folder under store in the config"
    root = expand_path(store).absolute()
    try:
        os.lstat(root)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise EmotraceError(f"store: {root}: {error.strerror}", hint=hint) from None
    nearest = next(path for path in (root, *root.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise EmotraceError(f"store: {nearest} is not a folder", hint=hint)


def _measure_room() -> str:
    """Say how much is free on each disk that jobs write to, besides the store's."""
    folders = map(os.path.realpath, (_find_temporary_folder(), "results", "."))
    disks = {os.stat(folder).st_dev: folder for folder in folders if os.path.isdir(folder)}
    free = sorted((shutil.disk_usage(folder).free, folder) for folder in disks.values())
    return ", ".join(f"{size / 1e6:.1f} MB in {folder}" for size, folder in free)
