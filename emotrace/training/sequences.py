"""Combine the features and annotations of all clips for training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from emotrace import TARGETS
from emotrace.reruns.checksums import open_table, read_schema, read_table
from emotrace.runtime.errors import EmotraceError

KEYS = ("clip_id", "time_s")

TIME_TOLERANCE_S = 1e-3
"""Largest difference between times of one frame; some are written as 30.000001, some rounded."""


@dataclass
class Sequences:
    """The frames that have both features and annotations, clip by clip.

    Clips of different lengths are padded at their end; `valid` marks the frames that are not
    padding.

    Parameters
    ----------
    clip_ids : list of str
        Ids of the clips.
    times : numpy.ndarray, shape (clips, frames)
        Seconds on the time line of the annotations, exactly as in the annotations, so that
        predictions can be matched with them.
    valid : numpy.ndarray of bool, shape (clips, frames)
        False where a frame is padding.
    features : numpy.ndarray, shape (clips, frames, features), float32
        Features of each frame.
    labels : numpy.ndarray, shape (clips, frames, targets), float32
        Annotations in [-1, 1], in the order of `emotrace.TARGETS`.
    """

    clip_ids: list[str]
    times: np.ndarray
    valid: np.ndarray
    features: np.ndarray
    labels: np.ndarray

    def find_clips(self, clip_ids: Sequence[str]) -> np.ndarray:
        """Return the rows of the given clips, in the given order."""
        rows = {clip_id: row for row, clip_id in enumerate(self.clip_ids)}
        return np.array([rows[clip_id] for clip_id in clip_ids], dtype=np.intp)


def read_clips(clips_path: str | Path, features_path: str | Path) -> pd.DataFrame:
    """Read the clips of the corpus, without those that a feature table could not include."""
    clips = read_table(clips_path)
    metadata = read_schema(features_path).metadata or {}
    return clips[~clips["clip_id"].isin(json.loads(metadata.get(b"excluded", b"[]")))]


def load_sequences(
    features_path: str | Path, annotations_path: str | Path, clip_ids: Sequence[str]
) -> Sequences:
    """Read the annotated frames of the given clips.

    Parameters
    ----------
    features_path : str or Path
        Path of a feature table: ``clip_id``, ``time_s``, one column per feature.
    annotations_path : str or Path
        Path of the annotations of the corpus.
    clip_ids : sequence of str
        Ids of the clips to read; their order is kept.

    Returns
    -------
    Sequences
        Features and labels of the clips.

    Raises
    ------
    EmotraceError
        If a clip has no frame with both features and annotations, a frame is annotated
        twice, or a table is damaged.
    """
    annotations = read_table(annotations_path, columns=[*KEYS, *TARGETS])
    table = open_table(features_path)
    wanted = annotations[annotations["clip_id"].isin(set(clip_ids))]
    frames = _match_frames(wanted, _read_keys(table))
    missing = sorted(set(clip_ids) - set(frames["clip_id"]))
    if missing:
        raise EmotraceError(
            f"{features_path}: no annotated frame of {len(missing)} clips, {missing[0]} the first",
            hint="if features.overrides gives this set a window that is wider than these clips, "
            "narrow it; else run the workflow again, so that features and corpus fit together",
        )
    return _pad_clips(frames, table, clip_ids)


def _read_keys(table: pq.ParquetFile) -> pd.DataFrame:
    keys = table.read(columns=list(KEYS)).to_pandas()
    return keys.astype({"clip_id": str, "time_s": np.float64})


def _match_frames(annotations: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """Add the row in the feature table to each annotation; drop annotations without a frame."""
    frames = pd.merge_asof(
        annotations.sort_values("time_s"),
        keys.assign(row=np.arange(len(keys))).sort_values("time_s"),
        on="time_s",
        by="clip_id",
        direction="nearest",
        tolerance=TIME_TOLERANCE_S,
    )
    frames = frames.dropna(subset="row").astype({"row": np.intp})
    again = frames[frames["row"].duplicated()]
    if len(again):
        raise EmotraceError(
            f"annotations: clip {again['clip_id'].iloc[0]} is annotated twice in the frame at "
            f"{again['time_s'].iloc[0]:g} s",
            hint="keep one of the two rows, then run the workflow again",
        )
    return frames


def _pad_clips(frames: pd.DataFrame, table: pq.ParquetFile, clip_ids: Sequence[str]) -> Sequences:
    numbers = {clip_id: number for number, clip_id in enumerate(clip_ids)}
    frames = frames.assign(
        clip=frames["clip_id"].map(numbers),
        place=frames.groupby("clip_id").cumcount(),  # in order of time, as matched
    )
    shape = (len(clip_ids), frames["place"].max() + 1)
    n_features = len(table.schema_arrow.names) - len(KEYS)
    sequences = Sequences(
        clip_ids=list(clip_ids),
        times=np.zeros(shape),
        valid=np.zeros(shape, dtype=bool),
        features=np.zeros((*shape, n_features), dtype=np.float32),
        labels=np.zeros((*shape, len(TARGETS)), dtype=np.float32),
    )
    places = frames["clip"], frames["place"]
    sequences.times[places] = frames["time_s"]
    sequences.valid[places] = True
    sequences.labels[places] = frames[list(TARGETS)]
    _fill_features(sequences.features, frames, table)
    return sequences


def _fill_features(features: np.ndarray, frames: pd.DataFrame, table: pq.ParquetFile) -> None:
    """Copy features to their positions, one row group at a time, never the whole table."""
    sizes = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    ends = np.cumsum(sizes)
    starts = ends - sizes
    for group, found in frames.groupby(np.searchsorted(ends, frames["row"], side="right")):
        rows = found["row"].to_numpy() - starts[group]
        features[found["clip"], found["place"]] = _read_rows(table, group, rows)


def _read_rows(table: pq.ParquetFile, group: int, rows: np.ndarray) -> np.ndarray:
    """Read rows of one row group; shape ``(rows, features)``."""
    names = [name for name in table.schema_arrow.names if name not in KEYS]
    columns = table.read_row_group(group, columns=names).columns
    values = np.empty((len(columns), len(rows)), dtype=np.float32)  # (features, rows)
    for number, column in enumerate(columns):
        values[number] = column.to_numpy()[rows]
    return values.T
