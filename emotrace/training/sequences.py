"""Features and annotations of all clips, laid side by side for training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from emotrace import TARGETS
from emotrace.errors import EmotraceError

KEYS = ("clip_id", "time_s")

TIME_TOLERANCE_S = 1e-3
"""Times of one frame may differ by this much: some are written as 30.000001, some rounded."""


@dataclass
class Sequences:
    """The frames that have both features and annotations, clip by clip.

    Clips of different lengths are padded at their end; `valid` tells frames
    from padding.

    Parameters
    ----------
    clip_ids : list of str
    times : numpy.ndarray, shape (clips, frames)
        Seconds on the annotation's time line, exactly as the annotations give them, so
        that predictions find their truth again.
    valid : numpy.ndarray of bool, shape (clips, frames)
    features : numpy.ndarray, shape (clips, frames, features), float32
    labels : numpy.ndarray, shape (clips, frames, targets), float32
        In [-1, 1], in the order of `emotrace.TARGETS`.
    """

    clip_ids: list[str]
    times: np.ndarray
    valid: np.ndarray
    features: np.ndarray
    labels: np.ndarray

    def find_clips(self, clip_ids: Sequence[str]) -> np.ndarray:
        """Return the rows of the given clips, in the order given."""
        rows = {clip_id: row for row, clip_id in enumerate(self.clip_ids)}
        return np.array([rows[clip_id] for clip_id in clip_ids], dtype=np.intp)


def read_clips(clips_path: str | Path, features_path: str | Path) -> pd.DataFrame:
    """Read the corpus's clips, but for those of which a feature table could not be computed."""
    clips = pd.read_parquet(clips_path)
    metadata = pq.read_schema(features_path).metadata or {}
    return clips[~clips["clip_id"].isin(json.loads(metadata.get(b"excluded", b"[]")))]


def load_sequences(
    features_path: str | Path, annotations_path: str | Path, clip_ids: Sequence[str]
) -> Sequences:
    """Read the annotated frames of the given clips.

    Parameters
    ----------
    features_path : str or Path
        A feature table: ``clip_id``, ``time_s``, one column per feature.
    annotations_path : str or Path
        The corpus's annotations.
    clip_ids : sequence of str
        The clips wanted; their order is kept.

    Returns
    -------
    Sequences

    Raises
    ------
    EmotraceError
        If a clip has no frame with both features and annotations.
    """
    annotations = pd.read_parquet(annotations_path, columns=[*KEYS, *TARGETS])
    keys, matrix = read_feature_table(features_path)
    frames = _match_frames(annotations[annotations["clip_id"].isin(set(clip_ids))], keys)
    missing = sorted(set(clip_ids) - set(frames["clip_id"]))
    if missing:
        raise EmotraceError(
            f"{features_path}: no annotated frame of {len(missing)} clips, {missing[0]} the first",
            hint="if features.overrides gives this set a window that is wider than these clips, "
            "narrow it; else run the workflow again, so that features and corpus fit together",
        )
    return _pad_clips(frames, matrix, clip_ids)


def read_feature_table(path: str | Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Read a feature table as keys and one matrix.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    keys : pandas.DataFrame
        ``clip_id`` and ``time_s``.
    matrix : numpy.ndarray, shape (rows, features), float32
    """
    file = pq.ParquetFile(path)
    keys = file.read(columns=list(KEYS)).to_pandas()
    keys = keys.astype({"clip_id": str, "time_s": np.float64})
    names = [name for name in file.schema_arrow.names if name not in KEYS]
    matrix = np.empty((len(keys), len(names)), dtype=np.float32)
    row = 0
    for group in range(file.num_row_groups):
        columns = file.read_row_group(group, columns=names).columns
        block = np.stack([column.to_numpy() for column in columns])  # (features, rows)
        matrix[row : row + block.shape[1]] = block.T
        row += block.shape[1]
    return keys, matrix


def _match_frames(annotations: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """Give each annotation the row of its frame in the feature table, or leave it out."""
    frames = pd.merge_asof(
        annotations.sort_values("time_s"),
        keys.assign(row=np.arange(len(keys))).sort_values("time_s"),
        on="time_s",
        by="clip_id",
        direction="nearest",
        tolerance=TIME_TOLERANCE_S,
    )
    return frames.dropna(subset="row").astype({"row": np.intp})


def _pad_clips(frames: pd.DataFrame, matrix: np.ndarray, clip_ids: Sequence[str]) -> Sequences:
    clips = {clip_id: clip for clip_id, clip in frames.groupby("clip_id", sort=False)}
    shape = (len(clip_ids), max(len(clip) for clip in clips.values()))
    sequences = Sequences(
        clip_ids=list(clip_ids),
        times=np.zeros(shape),
        valid=np.zeros(shape, dtype=bool),
        features=np.zeros((*shape, matrix.shape[1]), dtype=np.float32),
        labels=np.zeros((*shape, len(TARGETS)), dtype=np.float32),
    )
    for number, clip_id in enumerate(clip_ids):
        clip = clips[clip_id]  # in order of time, as matched
        span = slice(0, len(clip))
        sequences.times[number, span] = clip["time_s"]
        sequences.valid[number, span] = True
        sequences.features[number, span] = matrix[clip["row"]]
        sequences.labels[number, span] = clip[list(TARGETS)]
    return sequences
