"""Run the work of a workflow script with a log file and readable errors."""

from __future__ import annotations

import logging
import shutil
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emotrace.runtime.disks import explain_refusal, silence_unclosed_files
from emotrace.runtime.errors import EmotraceError


@contextmanager
def run_job(log: str | Path, *outputs: str | Path) -> Iterator[None]:
    """Write log lines to the log file of a job, and errors to the terminal as well.

    For the rest of the process, files that cannot be closed on a full disk are ignored.

    Parameters
    ----------
    log : str or Path
        Path of the job's log file; an existing file is replaced.
    *outputs : str or Path
        Files and folders that the job makes; they are removed after an error.

    Raises
    ------
    SystemExit
        After an `EmotraceError` or a full disk, with only the message shown; after any other
        error, with the traceback in the log.
    """
    silence_unclosed_files()
    try:
        with _write_log(log):
            yield
    except EmotraceError as error:
        remove_products(outputs)
        _stop(log, str(error))
    except Exception as error:
        refusal = explain_refusal(error, *outputs) if isinstance(error, OSError) else None
        remove_products(outputs)
        _append(log, traceback.format_exc())
        told = f"{type(error).__name__}: {error}\nhint: the traceback is in {log}"
        _stop(log, str(refusal or told))


class _LogFile(logging.FileHandler):
    """A log file that may be on a full disk: log lines are lost, but the job continues."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore the error; if a result cannot be written, that raises an error of its own."""


@contextmanager
def _write_log(log: str | Path) -> Iterator[None]:
    handler = _LogFile(log, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    root = logging.getLogger()
    root.addHandler(handler)
    logging.getLogger("emotrace").setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        root.removeHandler(handler)
        with suppress(OSError):
            handler.close()


def remove_products(outputs: Iterable[str | Path]) -> None:
    """Remove incomplete outputs; Snakemake would, but a full disk may stop it before that."""
    for output in map(Path, outputs):
        if output.is_dir():
            shutil.rmtree(output, ignore_errors=True)
        else:
            with suppress(OSError):
                output.unlink()


def _append(log: str | Path, text: str) -> None:
    with suppress(OSError), open(log, "a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def _stop(log: str | Path, message: str) -> None:
    _append(log, message)
    print(f"\n{Path(log).stem}: {message}\n", file=sys.stderr)
    sys.exit(1)
