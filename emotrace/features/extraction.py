"""From a corpus's audio to one feature table, computing only what the store lacks."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from emotrace.features import load_feature_set
from emotrace.features.clip import ClipFrames, Request, extract_clip
from emotrace.features.compilation import compile_functions
from emotrace.features.store import FeatureStore
from emotrace.frames import FrameGrid
from emotrace.parallel import map_clips
from emotrace.store import Store

logger = logging.getLogger(__name__)

CLIPS_PER_ROW_GROUP = 64
"""Clips written, and later read, at once: some 100 MB of the widest set."""


@dataclass(frozen=True)
class Extraction:
    """What an extraction did.

    Parameters
    ----------
    digest : str
        Of the table's content, blind to how the file encodes it.
    computed, reused : int
        Clips whose frames were computed, and clips whose frames were in the store.
    """

    digest: str
    computed: int
    reused: int


def extract_table(
    files: pd.DataFrame,
    *,
    identity: Mapping[str, Any],
    store: Store,
    path: Path,
    threads: int,
    memory_mb: int,
) -> Extraction:
    """Extract a feature set from every audio file and write it as one Parquet table.

    Parameters
    ----------
    files : pandas.DataFrame
        With ``clip_id``, ``path``, ``sha256``, ``offset_s`` and ``duration_s``; each is
        audio that can be read.
    identity : mapping
        See `emotrace.features.identity.identify_feature_set`.
    store : Store
    path : Path
        Receives ``clip_id``, ``time_s`` and one float32 column per feature,
        sorted by clip and time; the identity goes into its metadata.
    threads : int
        Worker processes.
    memory_mb : int
        Memory of all workers together, in MB.

    Raises
    ------
    EmotraceError
        Naming the clip whose features cannot be computed.
    """
    kept = FeatureStore(store.root, identity)
    requests = list_requests(files, identity)
    store.claim(path, map(kept.locate, requests))
    missing = _find_missing(requests, kept)
    if missing:
        compile_functions(identity["feature_set"], missing[0].grid)
        extract = partial(_extract_into_store, kept)
        label = f"{identity['feature_set']}: computed"
        for _ in map_clips(extract, missing, label=label, threads=threads, memory_mb=memory_mb):
            pass
    repaired: list[Request] = []
    clips = (_take_clip(request, kept, repaired) for request in requests)
    digest = _write_table(requests, clips, path, identity)
    computed = len(missing) + len(repaired)
    extraction = Extraction(digest, computed, len(requests) - computed)
    logger.info(
        "%s: %d computed, %d reused",
        identity["feature_set"],
        extraction.computed,
        extraction.reused,
    )
    return extraction


def list_requests(files: pd.DataFrame, identity: Mapping[str, Any]) -> list[Request]:
    """List the clips long enough for a frame, in the order of their ids."""
    grid = FrameGrid(**identity["frames"])
    return [
        Request(
            identity["feature_set"],
            file.clip_id,
            file.path,
            file.sha256,
            file.offset_s,
            grid,
        )
        for file in files.sort_values("clip_id").itertuples()
        if grid.count_frames(file.offset_s, file.duration_s) > 0
    ]


def _find_missing(requests: Sequence[Request], kept: FeatureStore) -> list[Request]:
    """List the clips without an entry; of clips with the same audio, one."""
    missing = {kept.locate(request): request for request in requests}
    return [request for path, request in missing.items() if not path.exists()]


def _extract_into_store(kept: FeatureStore, request: Request) -> None:
    kept.write(request, extract_clip(request))


def _take_clip(request: Request, kept: FeatureStore, repaired: list[Request]) -> ClipFrames:
    clip = kept.read(request)
    if clip is None:
        logger.warning(
            "clip %s: %s is damaged or gone, so it is computed again",
            request.clip_id,
            kept.locate(request),
        )
        compile_functions(request.feature_set, request.grid)
        clip = extract_clip(request)
        kept.write(request, clip)
        repaired.append(request)
    return clip


def _write_table(
    requests: Sequence[Request],
    clips: Iterator[ClipFrames],
    path: Path,
    identity: Mapping[str, Any],
) -> str:
    columns = load_feature_set(identity["feature_set"]).column_names()
    schema = pa.schema(
        [
            ("clip_id", pa.string()),
            ("time_s", pa.float64()),
            *((column, pa.float32()) for column in columns),
        ],
        metadata={"emotrace": json.dumps(identity)},
    )
    digest = hashlib.sha256(repr(columns).encode())
    rows = zip((request.clip_id for request in requests), clips, strict=True)
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
