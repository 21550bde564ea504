"""From a corpus's audio to one feature table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from emotrace.audio import SAMPLE_RATE, read_audio
from emotrace.errors import EmotraceError
from emotrace.features import load_feature_set
from emotrace.features.compilation import compile_functions
from emotrace.features.sound import Sound
from emotrace.frames import FrameGrid
from emotrace.parallel import map_clips

CLIPS_PER_ROW_GROUP = 64
"""Clips written, and later read, at once: some 100 MB of the widest set."""


@dataclass(frozen=True)
class Request:
    """What a worker needs to know to extract one clip."""

    feature_set: str
    clip_id: str
    path: str
    offset_s: float
    grid: FrameGrid


@dataclass(frozen=True)
class ClipFeatures:
    """One clip's frames.

    Parameters
    ----------
    clip_id : str
    times : numpy.ndarray, shape (frames,)
        Seconds on the annotation's time line at which the frames begin.
    values : numpy.ndarray, shape (frames, features), float32
    """

    clip_id: str
    times: np.ndarray
    values: np.ndarray


def extract_table(
    clips: pd.DataFrame,
    *,
    feature_set: str,
    grid: FrameGrid,
    path: Path,
    provenance: Mapping[str, str],
    threads: int,
    memory_mb: int,
) -> str:
    """Extract a feature set from every clip and write it as one Parquet table.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id``, ``path`` and ``offset_s``.
    feature_set : str
        Name of the set.
    grid : FrameGrid
        Window and hop.
    path : Path
        Receives ``clip_id``, ``time_s`` and one float32 column per feature,
        sorted by clip and time.
    provenance : mapping of str to str
        Goes into the table's metadata.
    threads : int
        Worker processes.
    memory_mb : int
        Memory of all workers together, in MB.

    Returns
    -------
    str
        Digest of the table's content, blind to how the file encodes it.

    Raises
    ------
    EmotraceError
        Naming the clip whose features cannot be computed.
    """
    requests = [
        Request(feature_set, clip.clip_id, clip.path, clip.offset_s, grid)
        for clip in clips.sort_values("clip_id").itertuples()
    ]
    columns = load_feature_set(feature_set).column_names()
    compile_functions(feature_set, grid)
    extracted = map_clips(
        extract_clip, requests, label=feature_set, threads=threads, memory_mb=memory_mb
    )
    return _write_table(extracted, columns, path, provenance)


def extract_clip(request: Request) -> ClipFeatures:
    """Decode one clip and compute its frames.

    Raises
    ------
    EmotraceError
        Naming the clip, if its file cannot be read or a library fails on it.
    """
    try:
        samples = read_audio(request.path)
        grid, offset_s = request.grid, request.offset_s
        n_frames = grid.count_frames(offset_s, len(samples) / SAMPLE_RATE)
        first = grid.first_frame(offset_s)
        start = round((first * grid.hop_s - offset_s) * SAMPLE_RATE)
        sound = Sound(samples[max(start, 0) :], SAMPLE_RATE, n_frames, grid)
        values = load_feature_set(request.feature_set).extract_frames(sound)
    except Exception as error:
        # What the user is meant to read comes with a hint of its own.
        reason = str(error).partition("\nhint: ")[0]
        if not isinstance(error, EmotraceError):
            reason = f"{type(error).__name__}: {reason}"
        raise EmotraceError(
            f"clip {request.clip_id} ({request.path}): {request.feature_set} cannot be computed: "
            f"{reason}",
            hint="if the file has changed since the corpus was read, run with "
            "--forcerun build_corpus; else leave the clip out",
        ) from None
    times = np.array([grid.frame_time(first + frame) for frame in range(n_frames)])
    return ClipFeatures(request.clip_id, times, np.nan_to_num(values))


def _write_table(
    extracted: Iterable[ClipFeatures],
    columns: list[str],
    path: Path,
    provenance: Mapping[str, str],
) -> str:
    schema = pa.schema(
        [
            ("clip_id", pa.string()),
            ("time_s", pa.float64()),
            *((column, pa.float32()) for column in columns),
        ],
        metadata=dict(provenance),
    )
    digest = hashlib.sha256(repr(columns).encode())
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=["clip_id"],
        use_byte_stream_split=["time_s", *columns],
    ) as writer:
        for batch in _split(extracted, CLIPS_PER_ROW_GROUP):
            for clip in batch:
                digest.update(clip.clip_id.encode() + clip.times.tobytes() + clip.values.tobytes())
            writer.write_table(_build_table(batch, schema))
    return digest.hexdigest()


def _split(clips: Iterable[ClipFeatures], size: int) -> Iterator[list[ClipFeatures]]:
    iterator = iter(clips)
    while batch := list(islice(iterator, size)):
        yield batch


def _build_table(batch: list[ClipFeatures], schema: pa.Schema) -> pa.Table:
    clip_ids = np.repeat([clip.clip_id for clip in batch], [len(clip.times) for clip in batch])
    times = np.concatenate([clip.times for clip in batch])
    values = np.concatenate([clip.values for clip in batch])  # (frames, features)
    by_feature = np.ascontiguousarray(values.T)
    arrays = [pa.array(clip_ids), pa.array(times), *(pa.array(column) for column in by_feature)]
    return pa.Table.from_arrays(arrays, schema=schema)
