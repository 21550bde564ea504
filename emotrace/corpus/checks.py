"""Broken clips found in one pass, before anything is computed from them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emotrace import TARGETS
from emotrace.audio import decode_audio
from emotrace.corpus.truncation import describe_truncation
from emotrace.errors import EmotraceError
from emotrace.frames import TOLERANCE, FrameGrid

SILENCE = 1e-4
"""Peak below which a file counts as silent, -80 dB of full scale: the dither of 16 bits."""

MIN_FRAMES = 2
"""Annotated frames that a clip must have: one is no trace."""


@dataclass(frozen=True)
class Examination:
    """What an audio file turned out to be.

    Parameters
    ----------
    problem : str
        Why the clip cannot be used; empty if it can.
    sha256 : str
        Of the file's bytes.
    duration_s : float
        Of what was decoded, in seconds.
    sample_rate : int
        In Hz.
    channels : int
    """

    problem: str = ""
    sha256: str = ""
    duration_s: float = 0.0
    sample_rate: int = 0
    channels: int = 0


def examine_audio(path: str) -> Examination:
    """Decode a file from beginning to end and say what is wrong with it, if anything."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return Examination("missing file")
    except (OSError, ValueError) as error:
        return Examination(f"unreadable: {getattr(error, 'strerror', None) or error}")
    if not content:
        return Examination("empty file (0 bytes)")
    try:
        samples, sample_rate, announced = decode_audio(path)
    except EmotraceError as error:
        return Examination(str(error).splitlines()[0].removeprefix(f"{path}: "))
    duration_s = len(samples) / sample_rate
    truncation = describe_truncation(
        content, decoded_s=duration_s, announced_s=announced / sample_rate
    )
    return Examination(
        problem="; ".join(filter(None, [_describe_samples(samples), truncation])),
        sha256=hashlib.sha256(content).hexdigest(),
        duration_s=duration_s,
        sample_rate=sample_rate,
        channels=samples.shape[1],
    )


def _describe_samples(samples: np.ndarray) -> str:
    if len(samples) == 0:
        return "empty: no audio in it"
    if not np.isfinite(samples).all():
        return "samples that are not numbers"
    peak = np.abs(samples).max()
    if peak < SILENCE:
        return f"silent: peak {peak:.1g} of full scale"
    return ""


def find_problems(
    clips: pd.DataFrame,
    annotations: pd.DataFrame,
    examinations: Sequence[Examination],
    grid: FrameGrid,
) -> pd.DataFrame:
    """List every clip that cannot be used, with all its reasons.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id``, ``path`` and ``offset_s``.
    annotations : pandas.DataFrame
        With ``clip_id``, ``time_s``, ``arousal`` and ``valence``.
    examinations : sequence of Examination
        One per row of `clips`.
    grid : FrameGrid
        Frames on which annotations must lie.

    Returns
    -------
    pandas.DataFrame
        ``clip_id``, ``path``, ``reason``; one row per row of `clips` that is left out.
    """
    duplicates = set(clips.loc[clips["clip_id"].duplicated(), "clip_id"])
    annotation_problems = _check_annotations(annotations, grid)
    times = {clip: group.to_numpy() for clip, group in annotations.groupby("clip_id")["time_s"]}
    rows = []
    for clip, examined in zip(clips.itertuples(), examinations, strict=True):
        reasons = [examined.problem] if examined.problem else []
        if clip.clip_id in duplicates:
            reasons.append("duplicate clip_id")
        if clip.clip_id not in times:
            reasons.append("no annotations")
        else:
            reasons += annotation_problems.get(clip.clip_id, [])
            if not examined.problem:
                reasons += _check_coverage(
                    times[clip.clip_id], clip.offset_s, examined.duration_s, grid
                )
        if reasons:
            rows.append((clip.clip_id, clip.path, "; ".join(reasons)))
    return pd.DataFrame(rows, columns=["clip_id", "path", "reason"], dtype="str")


def _check_annotations(annotations: pd.DataFrame, grid: FrameGrid) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for target in TARGETS:
        values = annotations[target]
        _collect(reasons, annotations[values.isna()], f"{target} is not a number")
        _collect(reasons, annotations[values.abs() > 1], f"{target} is out of range")
    _collect(reasons, annotations[annotations.duplicated(["clip_id", "time_s"])], "annotated twice")
    position = annotations["time_s"] / grid.hop_s
    off_grid = (position - position.round()).abs() > max(TOLERANCE, 1e-3 / grid.hop_s)
    _collect(
        reasons,
        annotations[off_grid],
        f"annotated between the frames of features.hop_s={grid.hop_s}",
    )
    return reasons


def _collect(reasons: dict[str, list[str]], wrong: pd.DataFrame, what: str) -> None:
    for clip_id, times in wrong.groupby("clip_id")["time_s"]:
        more = f" and {len(times) - 1} times more" if len(times) > 1 else ""
        reasons[clip_id].append(f"{what} at {times.iloc[0]:g} s{more}")


def _check_coverage(
    times: np.ndarray, offset_s: float, duration_s: float, grid: FrameGrid
) -> Iterable[str]:
    first = grid.first_frame(offset_s)
    frames = np.round(times / grid.hop_s)
    n_frames = grid.count_frames(offset_s, duration_s)
    covered = int(((frames >= first) & (frames < first + n_frames)).sum())
    if covered < MIN_FRAMES:
        yield (
            f"too short: {duration_s:.2f} s of audio from second {offset_s:g} on cover {covered} "
            f"annotated frames, {MIN_FRAMES} are needed"
        )


def refuse_excess(excluded: pd.DataFrame, n_clips: int, max_excluded: float) -> None:
    """Stop if more clips are broken than the config tolerates.

    Raises
    ------
    EmotraceError
        Listing every excluded clip and its reason.
    """
    # Divided, and not max_excluded * n_clips: 0.29 * 100 is less than 29.
    if len(excluded) < n_clips and len(excluded) / n_clips <= max_excluded:
        return
    if len(excluded) == n_clips:
        summary = f"none of the {n_clips} clips can be used:"
        hint = "mend them, or look whether the corpus block of the config names the right folder"
    else:
        summary = (
            f"{len(excluded)} of {n_clips} clips cannot be used, more than "
            f"corpus.max_excluded = {max_excluded:g} tolerates:"
        )
        hint = "mend or remove them, or raise corpus.max_excluded to leave them out"
    lines = [f"  {row.clip_id} ({row.path}): {row.reason}" for row in excluded.itertuples()]
    raise EmotraceError("\n".join([summary, *lines]), hint=hint)
