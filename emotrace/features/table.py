"""Write a feature table: one Parquet file that holds the frames of all clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emotrace.features import load_feature_set
from emotrace.features.clip import ClipFrames
from emotrace.reruns.checksums import seal_table
from emotrace.reruns.recipe import Recipe

ROW_GROUP_BYTES = 100e6
"""Size in bytes of the parts in which a table is written and later read. Each column of each
part takes 1 kB of memory until the file is complete, and 0.1 kB of the file for its description."""


def write_table(
    clips: Iterable[tuple[str, ClipFrames]],
    path: Path,
    *,
    recipe: Recipe,
    excluded: Sequence[str],
) -> str:
    """Write clips to one table, in the given order, and digest its content.

    Parameters
    ----------
    clips : iterable of (clip_id, ClipFrames)
        Ids and frames of the clips.
    path : Path
        Path of the table to write.
    recipe : Recipe
        Recipe of the feature set, which is stored in the metadata; see
        `emotrace.features.recipe.write_recipe`.
    excluded : sequence of str
        Ids of the clips that could not be computed, which are stored in the metadata.

    Returns
    -------
    str
        Digest of the content, regardless of how the file encodes it.
    """
    columns = load_feature_set(recipe.name).column_names()
    schema = pa.schema(
        [
            ("clip_id", pa.string()),
            ("time_s", pa.float64()),
            *((column, pa.float32()) for column in columns),
        ],
        metadata={"emotrace": json.dumps(asdict(recipe)), "excluded": json.dumps(list(excluded))},
    )
    digest = hashlib.sha256(repr(columns).encode())
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=["clip_id"],
        use_byte_stream_split=["time_s", *columns],
    ) as writer:
        for batch in _divide_clips(clips):
            for clip_id, clip in batch:
                digest.update(clip_id.encode() + clip.times.tobytes() + clip.values.tobytes())
            writer.write_table(_build_table(batch, schema))
            del batch  # free the memory before the next batch is read
    seal_table(path)
    return digest.hexdigest()


def _divide_clips(
    clips: Iterable[tuple[str, ClipFrames]],
) -> Iterator[list[tuple[str, ClipFrames]]]:
    batch: list[tuple[str, ClipFrames]] = []
    size = 0
    for clip_id, clip in clips:
        batch.append((clip_id, clip))
        size += clip.values.nbytes
        if size >= ROW_GROUP_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _build_table(batch: list[tuple[str, ClipFrames]], schema: pa.Schema) -> pa.Table:
    clip_ids = np.repeat([clip_id for clip_id, _ in batch], [len(clip.times) for _, clip in batch])
    times = np.concatenate([clip.times for _, clip in batch])
    by_feature = np.empty((len(schema) - 2, len(times)), np.float32)  # (features, frames)
    np.concatenate([clip.values.T for _, clip in batch], axis=1, out=by_feature)
    arrays = [pa.array(clip_ids), pa.array(times), *(pa.array(column) for column in by_feature)]
    return pa.Table.from_arrays(arrays, schema=schema)
