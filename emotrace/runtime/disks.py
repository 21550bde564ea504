"""Detect full disks and folders without write permission, and explain them in words."""

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
"""Bytes that must be free before a run begins, which Snakemake needs for its notes about it."""


def explain_refusal(error: OSError, *written: str | Path) -> EmotraceError | None:
    """Return an error that names the full disk or the unwritable file; None for other errors.

    Parameters
    ----------
    error : OSError
        Error to explain.
    *written : str or Path
        Paths that were to be written, in case the error names none.
    """
    # If there are two names, the second is the one that was to be written.
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
    """Check that Snakemake can use the working folder and the folder for temporary files.

    Raises
    ------
    EmotraceError
        If Snakemake would end in a traceback. The error names the folder and the reason.
    """
    for folder in filter(Path.is_dir, (Path.cwd(), Path.cwd() / "results")):
        try:
            _try_writing(folder)
        except OSError as error:
            raise explain_refusal(error) or error from None
    try:
        _try_writing(_find_temporary_folder())
    except OSError as error:
        # If the folder is missing or cannot be written to, Python tries other folders.
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
    except FileNotFoundError:  # no folder of this machine can be written to
        return Path.cwd()


def silence_lost_log_lines() -> None:
    """Ignore errors of `logging` while writing, for the rest of this process.

    If a run is refused because its folder is full, Snakemake's log cannot be written either, and
    `logging` would print a page for each lost line.
    """
    logging.raiseExceptions = False


def silence_unclosed_files() -> None:
    """Ignore files that Python cannot close on a full disk, for the rest of this process.

    After a job has reported that its disk is full, Python closes the files that are still open
    when the process ends, and would print a page for each of them. Other errors are still
    reported.
    """
    report = sys.unraisablehook

    def report_others(unraisable: Any) -> None:
        error = unraisable.exc_value
        if not (isinstance(error, OSError) and error.errno in FULL):
            report(unraisable)

    sys.unraisablehook = report_others


def check_store_folder(store: str) -> None:
    """Check that the path of the store is a folder or can become one.

    Parameters
    ----------
    store : str
        Value of ``store`` in the config.

    Raises
    ------
    EmotraceError
        If it cannot. The error names the file that is in the way.
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
    """Describe the free space on each disk that jobs write to, except the disk of the store."""
    folders = map(os.path.realpath, (_find_temporary_folder(), "results", "."))
    disks = {os.stat(folder).st_dev: folder for folder in folders if os.path.isdir(folder)}
    free = sorted((shutil.disk_usage(folder).free, folder) for folder in disks.values())
    return ", ".join(f"{size / 1e6:.1f} MB in {folder}" for size, folder in free)
