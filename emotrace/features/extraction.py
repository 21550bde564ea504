"""Extract one feature table from a corpus's audio; compute only what the store lacks."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from emotrace.audio.frames import FrameGrid
from emotrace.corpora.exclusion import check_excess, read_excluded, tabulate_excluded
from emotrace.features.clip import ClipFrames, Request, UncomputableError, extract_clip
from emotrace.features.compilation import compile_functions
from emotrace.features.kept import KeptFrames
from emotrace.features.table import write_table
from emotrace.reruns.recipe import Recipe
from emotrace.reruns.store import Store, remove_entry
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.parallel import KILLED, map_clips
from emotrace.runtime.workers import LOCAL, Workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Omission:
    """A clip that is left out.

    Parameters
    ----------
    request : Request
        The clip.
    reason : str
        Message of the library that failed, or a note that the process died.
    """

    request: Request
    reason: str


@dataclass(frozen=True)
class Extraction:
    """Outcome of an extraction.

    Parameters
    ----------
    digest : str
        Digest of the content of the table, regardless of how the file encodes it.
    computed, reused : int
        Number of clips whose frames were computed, and number whose frames were in the store.
    excluded : tuple of Omission
        Clips that are missing from the table because they could not be computed.
    """

    digest: str
    computed: int
    reused: int
    excluded: tuple[Omission, ...] = ()


def extract_table(
    files: pd.DataFrame,
    *,
    recipe: Recipe,
    store: Store,
    path: Path,
    workers: Workers,
    max_excluded: float,
    known: Mapping[str, str] | None = None,
) -> Extraction:
    """Extract a feature set from every audio file and write it as one Parquet table.

    Parameters
    ----------
    files : pandas.DataFrame
        With ``clip_id``, ``path``, ``sha256``, ``offset_s`` and ``duration_s``. All files must
        be readable audio.
    recipe : Recipe
        Recipe of the feature set; see `emotrace.features.recipe.write_recipe`.
    store : Store
        Store that keeps the frames of each clip.
    path : Path
        Path of the table to write, with ``clip_id``, ``time_s`` and one float32 column per
        feature, sorted by clip and time. Its metadata hold the recipe.
    workers : Workers
        Workers that compute the clips.
    max_excluded : float
        Largest share of the clips that may be left out.
    known : mapping of str to str, optional
        Ids of clips that `extract_shard` left out, and the reasons.

    Returns
    -------
    Extraction
        Digest of the table, and numbers of clips.

    Raises
    ------
    EmotraceError
        If too many clips would be left out (the error names all of them), or if something
        fails that is not due to one clip; see `emotrace.features.clip.extract_clip`.
    """
    kept = KeptFrames(store, recipe)
    requests = list_requests(files, recipe)
    store.claim(path, map(kept.locate, requests))
    missing = _select_missing(requests, kept)
    reasons = {
        kept.locate(request): known[request.clip_id]
        for request in missing
        if known and request.clip_id in known
    }
    missing = [request for request in missing if kept.locate(request) not in reasons]
    omitted = _compute(missing, kept, workers, len(requests), max_excluded)
    reasons |= {kept.locate(omission.request): omission.reason for omission in omitted}
    excluded = [
        Omission(request, reasons[entry])
        for request in requests
        if (entry := kept.locate(request)) in reasons
    ]
    if excluded:
        check_excess(list_excluded(excluded), len(requests), max_excluded)
    requests = [request for request in requests if kept.locate(request) not in reasons]
    repaired: list[Request] = []
    digest = write_table(
        ((request.clip_id, _take_clip(request, kept, repaired)) for request in requests),
        path,
        recipe=recipe,
        excluded=[omission.request.clip_id for omission in excluded],
    )
    computed = len(missing) - len(omitted) + len(repaired)
    extraction = Extraction(digest, computed, len(requests) - computed, tuple(excluded))
    logger.info("%s: %d computed, %d reused", kept.recipe.name, computed, extraction.reused)
    return extraction


def extract_shard(
    files: pd.DataFrame,
    *,
    recipe: Recipe,
    store: Store,
    path: Path,
    shard: str,
    workers: Workers,
    max_excluded: float,
) -> list[Omission]:
    """Compute the frames of one part of the clips into the store, for use by `extract_table`.

    Parameters
    ----------
    files, recipe, store, path, workers, max_excluded
        See `extract_table`.
    shard : str
        Number of the part and number of parts, such as ``"2-of-5"``.

    Returns
    -------
    list of Omission
        Clips that could not be computed.

    Raises
    ------
    EmotraceError
        See `extract_table`.
    """
    kept = KeptFrames(store, recipe)
    requests = list_requests(files, recipe)
    store.claim(path, map(kept.locate, requests))
    number, _, n_shards = shard.partition("-of-")
    # Divide before looking for missing clips, since other shards add clips to the store meanwhile.
    mine = _drop_twins(requests, kept)[int(number) - 1 :: int(n_shards)]
    missing = _select_missing(mine, kept)
    omitted = _compute(missing, kept, workers, len(requests), max_excluded)
    logger.info(
        "%s: %d computed, %d reused",
        kept.recipe.name,
        len(missing) - len(omitted),
        len(mine) - len(missing),
    )
    return omitted


def list_requests(files: pd.DataFrame, recipe: Recipe) -> list[Request]:
    """List the clips that are long enough for a frame, in the order of their ids."""
    grid = FrameGrid(**recipe.settings)
    return [
        Request(
            recipe.name,
            file.clip_id,
            os.path.abspath(file.path),
            file.sha256,
            file.offset_s,
            grid,
        )
        for file in files.sort_values("clip_id").itertuples()
        if grid.count_frames(file.offset_s, file.duration_s) > 0
    ]


def list_excluded(omissions: Iterable[Omission]) -> pd.DataFrame:
    """Make a table of the clips that are left out."""
    return tabulate_excluded(
        (omission.request.clip_id, omission.request.path, omission.reason) for omission in omissions
    )


def read_known(paths: Iterable[str | Path]) -> dict[str, str]:
    """Read clips and reasons from tables that `list_excluded` made."""
    tables = map(read_excluded, paths)
    return {row.clip_id: row.reason for table in tables for row in table.itertuples()}


def _select_missing(requests: Sequence[Request], kept: KeptFrames) -> list[Request]:
    """List the clips without an entry, and only one of several clips with the same audio."""
    return [request for request in _drop_twins(requests, kept) if not kept.locate(request).exists()]


def _drop_twins(requests: Sequence[Request], kept: KeptFrames) -> list[Request]:
    """Keep only one of several clips with the same audio."""
    return list({kept.locate(request): request for request in requests}.values())


def _compute(
    missing: Sequence[Request],
    kept: KeptFrames,
    workers: Workers,
    n_clips: int,
    max_excluded: float,
) -> list[Omission]:
    """Compute clips into the store; return those that could not be computed."""
    omitted: list[Omission] = []
    if not missing:
        return omitted
    compile_functions(kept.recipe.name, missing[0].grid)
    extract = partial(_extract_into_store, kept, is_compiled=workers.cluster == LOCAL)
    label = f"{kept.recipe.name}: computed"
    for omission in map_clips(extract, missing, label=label, workers=workers, if_killed=_omit):
        if omission is not None:
            request = omission.request
            logger.warning("left out %s (%s): %s", request.clip_id, request.path, omission.reason)
            omitted.append(omission)
            check_excess(list_excluded(omitted), n_clips, max_excluded)
    return omitted


def _omit(request: Request) -> Omission:
    return Omission(request, KILLED)


def _extract_into_store(
    kept: KeptFrames, request: Request, *, is_compiled: bool
) -> Omission | None:
    # Workers on this machine inherit the job's folder of compiled functions; others have their own.
    if not is_compiled:
        compile_functions(request.feature_set, request.grid)
    try:
        clip = extract_clip(request)
    except UncomputableError as error:
        kept.check()  # Do not leave out a clip because changed code cannot compute it.
        return Omission(request, str(error))
    kept.write(request, clip)
    return None


def _take_clip(request: Request, kept: KeptFrames, repaired: list[Request]) -> ClipFrames:
    clip = kept.read(request)
    if clip is None:
        logger.warning(
            "clip %s: %s is damaged or gone, so it is computed again",
            request.clip_id,
            kept.locate(request),
        )
        # Remove the entry, so that the next run finds it missing even if computing it fails now.
        remove_entry(kept.locate(request))
        compile_functions(request.feature_set, request.grid)
        try:
            clip = extract_clip(request)
        except UncomputableError as error:
            raise EmotraceError(
                f"clip {request.clip_id} ({request.path}): {kept.recipe.name} cannot be computed "
                f"any more: {error}",
                hint="start the same command again, which leaves the clip out",
            ) from error
        kept.write(request, clip)
        repaired.append(request)
    return clip
