"""What each job's products were made with, recorded beside them.

Snakemake notes the same below ``.snakemake``, which a copy without hidden files leaves
behind; and of a product without a note it does not see that its settings or its code
changed. So the Snakefile writes missing notes anew from these records. A product without
a record counts as made with something else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emotrace.reruns.checksums import DamagedError, read_json, write_json

UNKNOWN = "nothing says what this was made with"
INCOMPLETE = "a file of this, or one that it was made of, is missing"
STAND_INS = ([UNKNOWN], [INCOMPLETE])
"""What stands for the parameters of such products; it differs from all that is planned."""

TEMPORARY = "results/features/shards/"
"""Folder of inputs that are removed once they were used."""

LARGEST_INPUT = 1_000_000
"""Bytes of the largest input whose content Snakemake compares."""


def name_record(outputs: Sequence[str]) -> Path:
    """Name the record of a job's products: beside the first."""
    return Path(outputs[0]).with_suffix(".made_with.json")


@contextmanager
def record_job(job: Any) -> Iterator[None]:
    """Record what the products of a job are made with, once they are complete.

    Parameters
    ----------
    job
        The object ``snakemake`` of a workflow script.
    """
    record = name_record(job.output)
    record.unlink(missing_ok=True)
    yield
    made_with = {
        "rule": job.rule,
        "inputs": list(job.input),
        "sha256": {path: _digest_input(Path(path)) for path in job.input},
        # As text, because Snakemake compares `repr`.
        "params": {name: repr(value) for name, value in job.params.items()},
        "folders": {folder: _list_files(folder) for folder in _list_folders(job.output)},
    }
    write_json(made_with, record)


def lacks_file(outputs: Sequence[str]) -> bool:
    """Say whether a folder that a job made has lost a file, or a result that it read is gone.

    Snakemake notices neither: it looks at a folder alone, and does not miss the outputs of a
    job that failed while what was once made of them is still there.

    Parameters
    ----------
    outputs : sequence of str
        All that the job makes.
    """
    made_with = _read_record(outputs)
    read = (path for path in made_with.get("inputs", ()) if path.startswith("results/"))
    if any(not path.startswith(TEMPORARY) and not os.path.exists(path) for path in read):
        return True
    files = made_with.get("folders", {})
    return any(
        set(files.get(folder, ())) - set(_list_files(folder)) for folder in _list_folders(outputs)
    )


def recall_job(outputs: Sequence[str]) -> dict[str, Any]:
    """Return what the products of a job were made with, in the words of Snakemake's notes.

    Parameters
    ----------
    outputs : sequence of str
        All that the job makes.
    """
    made_with = _read_record(outputs)
    if not made_with:
        return {"params": [UNKNOWN]}
    if lacks_file(outputs):
        return {"params": [INCOMPLETE]}
    return {
        "rule": made_with["rule"],
        "input": sorted(made_with["inputs"]),
        "input_checksums": {
            path: f"sha256:{digest}" for path, digest in made_with["sha256"].items() if digest
        },
        "params": sorted(made_with["params"].values()),
    }


def _read_record(outputs: Sequence[str]) -> dict[str, Any]:
    """Read the record of a job; empty if there is none, or none that is whole."""
    try:
        return read_json(name_record(outputs))
    except (OSError, DamagedError):
        return {}


def _list_folders(outputs: Iterable[str]) -> list[str]:
    """List the folders that a job made, but not music, which you may remove to make room."""
    return [path for path in outputs if path.startswith("results/") and os.path.isdir(path)]


def _list_files(folder: str) -> list[str]:
    # Snakemake keeps a hidden file there.
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def _digest_input(path: Path) -> str | None:
    if not path.is_file() or path.stat().st_size > LARGEST_INPUT:
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()
