"""A feature table: one Parquet file that holds the frames of all clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emotrace.features import load_feature_set
from emotrace.features.clip import ClipFrames

CLIPS_PER_ROW_GROUP = 64
"""Clips written, and later read, at once: some 100 MB of the widest set."""


def write_table(
    clips: Iterable[tuple[str, ClipFrames]],
    path: Path,
    *,
    identity: Mapping[str, Any],
    excluded: Sequence[str],
) -> str:
    """Write clips, in the order given, as one table, and digest its content.

    Parameters
    ----------
    clips : iterable of (clip_id, ClipFrames)
    path : Path
    identity : mapping
        See `emotrace.features.identity.identify_feature_set`; goes into the metadata.
    excluded : sequence of str
        Ids of the clips that are missing because they could not be computed; likewise.

    Returns
    -------
    str
        Digest of the content, blind to how the file encodes it.
    """
    columns = load_feature_set(identity["feature_set"]).column_names()
    schema = pa.schema(
        [
            ("clip_id", pa.string()),
            ("time_s", pa.float64()),
            *((column, pa.float32()) for column in columns),
        ],
        metadata={"emotrace": json.dumps(identity), "excluded": json.dumps(list(excluded))},
    )
    digest = hashlib.sha256(repr(columns).encode())
    rows = iter(clips)
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=["clip_id"],
        use_byte_stream_split=["time_s", *columns],
    ) as writer:
        while batch := list(islice(rows, CLIPS_PER_ROW_GROUP)):
            for clip_id, clip in batch:
                digest.update(clip_id.encode() + clip.times.tobytes() + clip.values.tobytes())
            writer.write_table(_build_table(batch, schema))
    return digest.hexdigest()


def _build_table(batch: list[tuple[str, ClipFrames]], schema: pa.Schema) -> pa.Table:
    clip_ids = np.repeat([clip_id for clip_id, _ in batch], [len(clip.times) for _, clip in batch])
    times = np.concatenate([clip.times for _, clip in batch])
    values = np.concatenate([clip.values for _, clip in batch])  # (frames, features)
    by_feature = np.ascontiguousarray(values.T)
    arrays = [pa.array(clip_ids), pa.array(times), *(pa.array(column) for column in by_feature)]
    return pa.Table.from_arrays(arrays, schema=schema)
