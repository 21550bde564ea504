"""Fits that were made before, kept in the store."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from emotrace import TARGETS
from emotrace.reruns.store import digest_identity, write_folder
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.folds import Fold
from emotrace.training.fold import Fit
from emotrace.training.sequences import Sequences

TABLES = ("predictions", "attention", "history")
WEIGHTS = "weights.safetensors"
SUMS = "sha256.json"
"""File of a fit that holds the digests of its other files."""


class FitStore:
    """The fits of one model on one feature set: one folder each.

    Parameters
    ----------
    folder : Path
        ``fits/FEATURE_SET/MODEL`` in the store.
    identity : mapping
        See `emotrace.training.identity.identify_model`.
    sequences : Sequences
        All clips; their content decides the rest.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], sequences: Sequences) -> None:
        self.folder = folder
        self.identity = dict(identity)
        self.clips = _digest_clips(sequences)
        self.n_frames = sequences.valid.shape[1]

    def locate(self, fold: Fold, target: str, seed: int) -> Path:
        """Name the folder of a fit.

        The labels of the tested clips are no part of the name, because they
        decide nothing; in the protocol ``paper`` they are those of the
        validation part.
        """
        parts = {
            "training": [(clip_id, *self.clips[clip_id, target]) for clip_id in fold.training],
            "validation": [(clip_id, *self.clips[clip_id, target]) for clip_id in fold.validation],
            "test": [(clip_id, self.clips[clip_id, target][0]) for clip_id in fold.test],
            # Dropout draws numbers for padding too, so the longest clip of all counts.
            "n_frames": self.n_frames,
        }
        data = hashlib.sha256(repr(parts).encode()).hexdigest()
        return self.folder / digest_identity(
            {**self.identity, "data": data, "target": target, "seed": seed}
        )


def name_checkpoint(folder: Path) -> Path:
    """Name the file beside a fit's folder that keeps it while it is under way.

    Like all that is unfinished it begins with a dot, and goes with the next clean-up
    when a day old.
    """
    return folder.with_name(f".{folder.name}.checkpoint")


def write_fit(folder: Path, fit: Fit) -> None:
    """Keep a fit in a folder of its own.

    Raises
    ------
    EmotraceError
        If the store cannot be written to.
    """
    with write_folder(folder) as unfinished:
        for name in TABLES:
            pq.write_table(getattr(fit, name), unfinished / f"{name}.parquet")
        # Not safetensors' save_file, whose files nobody else may read, whatever the umask.
        (unfinished / WEIGHTS).write_bytes(fit.weights)
        (unfinished / SUMS).write_text(json.dumps(_digest_files(unfinished)), encoding="utf-8")


def read_fit(folder: Path) -> Fit | None:
    """Return the fit of a folder, or None if it is not there, damaged or not finite.

    Raises
    ------
    EmotraceError
        If it is there and may not be read.
    """
    try:
        if json.loads((folder / SUMS).read_text(encoding="utf-8")) != _digest_files(folder):
            return None
        tables = [pq.read_table(folder / f"{name}.parquet") for name in TABLES]
        fit = Fit(*tables, (folder / WEIGHTS).read_bytes())
        return fit if fit.is_finite else None
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise EmotraceError(
            f"{error.filename or folder}: this entry of the store cannot be read "
            f"({error.strerror or error})",
            hint="let its owner give you the right to, or name another folder under store in the "
            "config",
        ) from error


def link_weights(folder: Path, path: Path) -> None:
    """Give a fit's weights a second name, or a copy where the disk is another one."""
    path.unlink(missing_ok=True)
    try:
        os.link(folder / WEIGHTS, path)
    except OSError:
        shutil.copyfile(folder / WEIGHTS, path)


def _digest_files(folder: Path) -> dict[str, str]:
    digests = {}
    for name in (*(f"{table}.parquet" for table in TABLES), WEIGHTS):
        with open(folder / name, "rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _digest_clips(sequences: Sequences) -> dict[tuple[str, str], tuple[str, str]]:
    """Digest for each clip and target what a model hears, and what it is told."""
    digests = {}
    for row, clip_id in enumerate(sequences.clip_ids):
        valid = sequences.valid[row]
        heard = hashlib.sha256(sequences.times[row, valid].tobytes())
        heard.update(sequences.features[row, valid].tobytes())
        for column, target in enumerate(TARGETS):
            told = hashlib.sha256(sequences.labels[row, valid, column].tobytes())
            digests[clip_id, target] = (heard.hexdigest(), told.hexdigest())
    return digests
