"""From a corpus's audio to one feature table, computing only what the store lacks."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from emotrace.corpus.exclusion import refuse_excess, tabulate_excluded
from emotrace.features.clip import ClipFrames, Request, extract_clip
from emotrace.features.compilation import compile_functions
from emotrace.features.store import FeatureStore
from emotrace.features.table import write_table
from emotrace.frames import FrameGrid
from emotrace.parallel import KILLED, map_clips
from emotrace.store import Store
from emotrace.workers import LOCAL, Workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extraction:
    """What an extraction did.

    Parameters
    ----------
    digest : str
        Of the table's content, blind to how the file encodes it.
    computed, reused : int
        Clips whose frames were computed, and clips whose frames were in the store.
    excluded : tuple of Request
        Clips that are not in the table, because the process that computed them died.
    """

    digest: str
    computed: int
    reused: int
    excluded: tuple[Request, ...] = ()


def extract_table(
    files: pd.DataFrame,
    *,
    identity: Mapping[str, Any],
    store: Store,
    path: Path,
    workers: Workers,
    max_excluded: float,
    known: Collection[str] = (),
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
    workers : Workers
    max_excluded : float
        Share of the clips that may be left out.
    known : collection of str
        Clips that `extract_shard` returned.

    Raises
    ------
    EmotraceError
        Naming the clip whose features cannot be computed, or, if more than may be
        would be left out, all of them.
    """
    kept = FeatureStore(store.root, identity)
    requests = list_requests(files, identity)
    store.claim(path, map(kept.locate, requests))
    fatal = {kept.locate(request) for request in requests if request.clip_id in known}
    missing = [
        request for request in _select_missing(requests, kept) if kept.locate(request) not in fatal
    ]
    killed = _compute(missing, kept, workers, len(requests), max_excluded)
    fatal |= {kept.locate(request) for request in killed}
    excluded = [request for request in requests if kept.locate(request) in fatal]
    if excluded:
        refuse_excess(list_excluded(excluded), len(requests), max_excluded)
    requests = [request for request in requests if kept.locate(request) not in fatal]
    repaired: list[Request] = []
    digest = write_table(
        ((request.clip_id, _take_clip(request, kept, repaired)) for request in requests),
        path,
        identity=identity,
        excluded=[request.clip_id for request in excluded],
    )
    computed = len(missing) - len(killed) + len(repaired)
    extraction = Extraction(digest, computed, len(requests) - computed, tuple(excluded))
    logger.info("%s: %d computed, %d reused", kept.feature_set, computed, extraction.reused)
    return extraction


def extract_shard(
    files: pd.DataFrame,
    *,
    identity: Mapping[str, Any],
    store: Store,
    path: Path,
    shard: str,
    workers: Workers,
    max_excluded: float,
) -> list[Request]:
    """Compute a part of the clips into the store, from which `extract_table` takes them.

    Parameters
    ----------
    files, identity, store, path, workers, max_excluded
        See `extract_table`.
    shard : str
        Which part, such as ``"2-of-5"``.

    Returns
    -------
    list of Request
        Clips that cannot be computed, because the process died.

    Raises
    ------
    EmotraceError
        See `extract_table`.
    """
    kept = FeatureStore(store.root, identity)
    requests = list_requests(files, identity)
    store.claim(path, map(kept.locate, requests))
    number, _, n_shards = shard.partition("-of-")
    # Divided before it is looked what is missing, which changes while the others are at work.
    mine = _drop_twins(requests, kept)[int(number) - 1 :: int(n_shards)]
    missing = _select_missing(mine, kept)
    killed = _compute(missing, kept, workers, len(requests), max_excluded)
    logger.info(
        "%s: %d computed, %d reused",
        kept.feature_set,
        len(missing) - len(killed),
        len(mine) - len(missing),
    )
    return killed


def list_requests(files: pd.DataFrame, identity: Mapping[str, Any]) -> list[Request]:
    """List the clips long enough for a frame, in the order of their ids."""
    grid = FrameGrid(**identity["frames"])
    return [
        Request(
            identity["feature_set"],
            file.clip_id,
            os.path.abspath(file.path),
            file.sha256,
            file.offset_s,
            grid,
        )
        for file in files.sort_values("clip_id").itertuples()
        if grid.count_frames(file.offset_s, file.duration_s) > 0
    ]


def list_excluded(requests: Iterable[Request]) -> pd.DataFrame:
    """Tabulate clips whose process died."""
    return tabulate_excluded((request.clip_id, request.path, KILLED) for request in requests)


def read_excluded(paths: Iterable[str | Path]) -> set[str]:
    """Read which clips tables of `list_excluded` hold."""
    return {
        clip_id
        for path in paths
        for clip_id in pd.read_csv(path, dtype="str", keep_default_na=False)["clip_id"]
    }


def _select_missing(requests: Sequence[Request], kept: FeatureStore) -> list[Request]:
    """List the clips without an entry; of clips with the same audio, one."""
    return [request for request in _drop_twins(requests, kept) if not kept.locate(request).exists()]


def _drop_twins(requests: Sequence[Request], kept: FeatureStore) -> list[Request]:
    """Keep one of the clips with the same audio."""
    return list({kept.locate(request): request for request in requests}.values())


def _compute(
    missing: Sequence[Request],
    kept: FeatureStore,
    workers: Workers,
    n_clips: int,
    max_excluded: float,
) -> list[Request]:
    """Compute clips into the store; return those whose process died."""
    killed: list[Request] = []
    if not missing:
        return killed
    compile_functions(kept.feature_set, missing[0].grid)
    extract = partial(_extract_into_store, kept, is_compiled=workers.cluster == LOCAL)
    label = f"{kept.feature_set}: computed"
    for request in map_clips(extract, missing, label=label, workers=workers, if_killed=_give_back):
        if request is not None:
            logger.warning("left out %s (%s): %s", request.clip_id, request.path, KILLED)
            killed.append(request)
            refuse_excess(list_excluded(killed), n_clips, max_excluded)
    return killed


def _give_back(request: Request) -> Request:
    return request


def _extract_into_store(kept: FeatureStore, request: Request, *, is_compiled: bool) -> None:
    # Workers of this machine inherit the folder in which the job compiled; others have their own.
    if not is_compiled:
        compile_functions(request.feature_set, request.grid)
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
