"""Record beside each job's products what they were made with.

Snakemake keeps such notes below ``.snakemake``, but a copy without hidden files leaves them
behind. Without a note, Snakemake does not notice that the settings or the code of a product
have changed. The Snakefile therefore restores missing notes from these records. A product
without a record counts as made with other settings.
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
"""Placeholders for the parameters of products without a record; equal to no planned ones."""

TEMPORARY = "results/features/shards/"
"""Folder of inputs that are removed after use."""

LARGEST_INPUT = 1_000_000
"""Largest size in bytes at which Snakemake compares the content of an input."""


def name_record(outputs: Sequence[str]) -> Path:
    """Return the path of the record of a job's products, which lies beside the first one."""
    return Path(outputs[0]).with_suffix(".made_with.json")


@contextmanager
def record_job(job: Any) -> Iterator[None]:
    """Record what the products of a job are made with, once they are complete.

    Parameters
    ----------
    job
        Object ``snakemake`` of a workflow script.
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
    """Return whether a folder that a job made has lost a file, or an input of the job is gone.

    Snakemake notices neither. It checks only that a folder exists, and it does not miss the
    outputs of a failed job if products that were made from them still exist.

    Parameters
    ----------
    outputs : sequence of str
        All outputs of the job.
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
    """Return what the products of a job were made with, in the format of Snakemake's notes.

    Parameters
    ----------
    outputs : sequence of str
        All outputs of the job.
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
    """Read the record of a job; empty if it is missing or damaged."""
    try:
        return read_json(name_record(outputs))
    except (OSError, DamagedError):
        return {}


def _list_folders(outputs: Iterable[str]) -> list[str]:
    """List the folders that a job made, except music, which you may remove to free space."""
    return [path for path in outputs if path.startswith("results/") and os.path.isdir(path)]


def _list_files(folder: str) -> list[str]:
    # Snakemake keeps a hidden file in each output folder.
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def _digest_input(path: Path) -> str | None:
    if not path.is_file() or path.stat().st_size > LARGEST_INPUT:
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()
