"""Name, store and read fits."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emotrace import TARGETS
from emotrace.reruns.store import Store, explain_unreadable, write_file
from emotrace.splits.folds import Fold
from emotrace.training.fold import Fit
from emotrace.training.sequences import Sequences

TABLES = ("predictions", "attention", "history")
CHECKSUM = "weights.sha256"


class FitNames:
    """Names of a model's fits, which depend on everything but the recipe that determines them.

    Parameters
    ----------
    sequences : Sequences
        Features and labels of all clips.
    """

    def __init__(self, sequences: Sequences) -> None:
        self.clips = _digest_clips(sequences)
        self.n_frames = sequences.valid.shape[1]

    def name_entry(self, fold: Fold, target: str, seed: int) -> str:
        """Return the name of a fit's entry.

        The labels of the test set are not part of the name, because they have no effect on the
        fit. In the protocol ``paper``, the test set is also the validation set, so there they
        are part of it.
        """
        learnt = [
            [(clip_id, *self.clips[clip_id, target]) for clip_id in part]
            for part in (fold.training, fold.validation)
        ]
        tested = [(clip_id, self.clips[clip_id, target][0]) for clip_id in fold.test]
        # Dropout draws numbers for padding as well, so the length of the longest clip counts.
        parts = (*learnt, tested, self.n_frames, target, seed)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def name_checkpoint(entry: Path) -> Path:
    """Return the path of the file that holds the state of an unfinished fit, beside its entry.

    Like the names of all unfinished files, its name begins with a dot. Cleaning removes it
    when it is a day old.
    """
    return entry.with_name(f".{entry.name}.checkpoint")


def put_fit(store: Store, entry: Path, fit: Fit) -> None:
    """Store a fit: first its weights in a file of their own, then the rest with their checksum.

    Raises
    ------
    EmotraceError
        If the store cannot be written to.
    """
    if get_fit(store, entry) is not None:
        return  # Another process was faster, and its bits may differ on a GPU.
    with write_file(name_weights(entry)) as unfinished:
        # safetensors' save_file makes files that only their owner can read, whatever the umask.
        unfinished.write_bytes(fit.weights)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in TABLES:
            sink = pa.BufferOutputStream()
            pq.write_table(getattr(fit, name), sink)
            archive.writestr(name, sink.getvalue().to_pybytes())
        archive.writestr(CHECKSUM, hashlib.sha256(fit.weights).hexdigest())
    store.put(entry, written.getvalue())


def get_fit(store: Store, entry: Path) -> Fit | None:
    """Return a fit, or None if it is missing or damaged.

    Raises
    ------
    EmotraceError
        If the fit exists but you lack permission to read it.
    """
    content = store.get(entry)
    if content is None:
        return None
    try:
        weights = name_weights(entry).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_unreadable(name_weights(entry), error) from error
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if archive.read(CHECKSUM).decode() != hashlib.sha256(weights).hexdigest():
            return None
        tables = [pq.read_table(pa.BufferReader(archive.read(name))) for name in TABLES]
    return Fit(*tables, weights)


def link_weights(entry: Path, path: Path) -> None:
    """Link the weights of a fit to another path, or copy them if that is on another disk."""
    path.unlink(missing_ok=True)
    try:
        os.link(name_weights(entry), path)
    except OSError:
        shutil.copyfile(name_weights(entry), path)


def name_weights(entry: Path) -> Path:
    """Return the path of the file beside a fit's entry that holds its weights."""
    return entry.with_name(f"{entry.name}.safetensors")


def _digest_clips(sequences: Sequences) -> dict[tuple[str, str], tuple[str, str]]:
    """Digest the features and the labels of each clip, for each target."""
    digests = {}
    for row, clip_id in enumerate(sequences.clip_ids):
        valid = sequences.valid[row]
        heard = hashlib.sha256(sequences.times[row, valid].tobytes())
        heard.update(sequences.features[row, valid].tobytes())
        for column, target in enumerate(TARGETS):
            told = hashlib.sha256(sequences.labels[row, valid, column].tobytes())
            digests[clip_id, target] = (heard.hexdigest(), told.hexdigest())
    return digests
