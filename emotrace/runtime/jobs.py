"""What every workflow script does around its work: a log, and errors that read well."""

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
    """Send log lines to the job's log file, and errors to the terminal too.

    For the rest of the process, files that a full disk keeps open are passed over.

    Parameters
    ----------
    log : str or Path
        The job's log file; written anew.
    *outputs : str or Path
        Files and folders that the job makes; after an error none of them is left.

    Raises
    ------
    SystemExit
        After an `EmotraceError` or a disk that takes no more, whose message alone is
        shown; after any other error, whose traceback goes to the log.
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
    """A log file whose disk may be full: lines are lost then, but no job."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing; what the disk refuses to a result is an error of its own."""


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
    """Remove what may be half written; Snakemake would, but a full disk may end it before."""
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
