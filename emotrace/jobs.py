"""What every workflow script does around its work: a log, and errors that read well."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emotrace.errors import EmotraceError


@contextmanager
def run_job(log: str | Path) -> Iterator[None]:
    """Send log lines to the job's log file, and errors to the terminal too.

    Parameters
    ----------
    log : str or Path
        The job's log file; written anew.

    Raises
    ------
    SystemExit
        After an `EmotraceError`, whose message alone is shown; after any other
        error, whose traceback goes to the log.
    """
    handler = logging.FileHandler(log, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    root = logging.getLogger()
    root.addHandler(handler)
    logging.getLogger("emotrace").setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    except EmotraceError as error:
        _stop(handler, log, str(error))
    except Exception as error:
        handler.stream.write(traceback.format_exc())
        _stop(handler, log, f"{type(error).__name__}: {error}\nhint: the traceback is in {log}")
    finally:
        root.removeHandler(handler)
        handler.close()


def _stop(handler: logging.FileHandler, log: str | Path, message: str) -> None:
    handler.stream.write(f"{message}\n")
    print(f"\n{Path(log).stem}: {message}\n", file=sys.stderr)
    sys.exit(1)
