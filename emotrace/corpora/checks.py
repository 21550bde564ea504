"""Find all broken clips in one pass, before anything is computed from them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emotrace import TARGETS
from emotrace.audio.frames import TOLERANCE, FrameGrid, number_frames
from emotrace.corpora.exclusion import tabulate_excluded
from emotrace.runtime.errors import EmotraceError

if TYPE_CHECKING:
    from emotrace.corpora.corpus import BaseCorpus

MIN_FRAMES = 2
"""Smallest number of annotated frames per clip, since one frame is not a trace."""

LARGEST_DEVIATION = 2**0.5
"""Deviation of two annotators at the two ends of the scale from -1 to 1; it is the largest
possible, since more annotators deviate less."""

MOST = 0.5
"""Share of the clips from which on a shared fault is attributed to the config."""


def find_problems(clips: pd.DataFrame, annotations: pd.DataFrame, grid: FrameGrid) -> pd.DataFrame:
    """List every clip that cannot be used, with all its reasons.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id``, ``path``, ``offset_s``, and the results of the inspection of the file:
        ``problem`` and ``duration_s``; see `emotrace.corpora.inspection.Inspection`.
    annotations : pandas.DataFrame
        With ``clip_id``, ``time_s``, ``arousal``, ``valence`` and, where they are known,
        ``arousal_std`` and ``valence_std``.
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
    for clip in clips.itertuples():
        reasons = [clip.problem] if clip.problem else []
        if clip.clip_id in duplicates:
            reasons.append("duplicate clip_id")
        if clip.clip_id not in times:
            reasons.append("no annotations")
        else:
            reasons += annotation_problems.get(clip.clip_id, [])
            if not clip.problem:
                reasons += _check_coverage(
                    times[clip.clip_id], clip.offset_s, clip.duration_s, grid
                )
        if reasons:
            rows.append((clip.clip_id, clip.path, "; ".join(reasons)))
    return tabulate_excluded(rows)


def find_gaps(clips: pd.DataFrame, annotations: pd.DataFrame, grid: FrameGrid) -> dict[str, str]:
    """Find the clips that lack annotations between their first and last annotated frame.

    Parameters
    ----------
    clips, annotations, grid
        As for `find_problems`, but only with usable clips.

    Returns
    -------
    dict of str to str
        For each such clip, the position of its first gap, such as "1.5 to 3 s".
    """
    times = {clip: group.to_numpy() for clip, group in annotations.groupby("clip_id")["time_s"]}
    gaps = {}
    for clip in clips.itertuples():
        covered = grid.is_covered(times[clip.clip_id], clip.offset_s, clip.duration_s)
        frames = np.sort(number_frames(times[clip.clip_id][covered], grid.hop_s))
        (before,) = np.nonzero(np.diff(frames) > 1)
        if before.size:
            ends = (frames[before[0]] + 1) * grid.hop_s, frames[before[0] + 1] * grid.hop_s
            gaps[clip.clip_id] = f"{ends[0]:g} to {ends[1]:g} s"
    return gaps


def explain_misfit(
    clips: pd.DataFrame, annotations: pd.DataFrame, grid: FrameGrid, corpus: BaseCorpus
) -> str | None:
    """Return a hint if changing one setting would make most unusable clips usable.

    Parameters
    ----------
    clips, annotations, grid
        As for `find_problems`.
    corpus : BaseCorpus
        Corpus of the clips.

    Returns
    -------
    str or None
        Hint that names the key of the config or the column of the clips CSV; None if no
        single setting helps.
    """
    hints = []
    is_beyond = (annotations[[*TARGETS]].abs() > 1).any(axis=1)
    n_beyond = annotations.loc[is_beyond, "clip_id"].nunique()
    if corpus.annotation_scale and n_beyond > MOST * annotations["clip_id"].nunique():
        low, high = _find_range(annotations, corpus.annotation_scale)
        hints.append(
            f"the annotations reach from {low:g} to {high:g}: set corpus.annotation_scale to the "
            "lowest and the highest value that your annotators could choose, such as "
            f"[{math.floor(low)}, {math.ceil(high)}]"
        )
    outside = _find_outside(clips, annotations, grid)
    if corpus.offset_setting and len(outside) > MOST * len(clips):
        clip = outside.iloc[0]
        hints.append(
            f"clip {clip.clip_id} is annotated from second {clip.first_s:g} to {clip.last_s:g}, "
            f"its audio lies from second {clip.offset_s:g} to "
            f"{clip.offset_s + clip.duration_s:g}: set {corpus.offset_setting} to the second of "
            "the annotations' time line at which each file begins"
        )
    return "; ".join(hints) or None


def describe_half_scale(annotations: pd.DataFrame, corpus: BaseCorpus) -> str | None:
    """Return a message if all annotations lie in the upper half of the default scale."""
    lowest = annotations[[*TARGETS]].min().min()
    if corpus.annotation_scale != (-1, 1) or lowest < 0:
        return None
    return (
        f"no annotation is below 0 (the lowest is {lowest:g}) on a scale from -1 to 1; if your "
        "annotators' scale began at 0, set corpus.annotation_scale: [0, 1]"
    )


def check_annotations_vary(annotations: pd.DataFrame) -> None:
    """Check that each target varies within the corpus.

    Raises
    ------
    EmotraceError
        If a target is constant; the error names the target.
    """
    for target in TARGETS:
        if annotations[target].nunique() == 1:
            raise EmotraceError(
                f"annotations: {target} is {annotations[target].iloc[0]:g} at every frame of every "
                "clip, so there is nothing to learn of it",
                hint="look at the column of that name; both targets must be annotated",
            )


def _check_annotations(annotations: pd.DataFrame, grid: FrameGrid) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for target in TARGETS:
        values = annotations[target]
        _collect(reasons, annotations[values.isna()], f"{target} is not a number")
        _collect(reasons, annotations[values.abs() > 1], f"{target} is out of range")
        deviation = f"{target}_std"
        if deviation in annotations:
            is_wrong = annotations[deviation].gt(LARGEST_DEVIATION + TOLERANCE)
            is_wrong |= annotations[deviation].lt(0)
            _collect(reasons, annotations[is_wrong], f"{deviation} is out of range")
    frames = number_frames(annotations["time_s"], grid.hop_s)
    is_again = annotations.assign(frame=frames).duplicated(["clip_id", "frame"])
    _collect(reasons, annotations[is_again], "annotated twice")
    off_grid = (annotations["time_s"] / grid.hop_s - frames).abs() > max(
        TOLERANCE, 1e-3 / grid.hop_s
    )
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
    covered = grid.is_covered(times, offset_s, duration_s).sum()
    if covered < MIN_FRAMES:
        yield (
            f"too short: {duration_s:.2f} s of audio from second {offset_s:g} on cover {covered} "
            f"annotated frames, {MIN_FRAMES} are needed"
        )


def _find_range(annotations: pd.DataFrame, scale: Iterable[float]) -> tuple[float, float]:
    """Return the lowest and highest annotation, in the units of the annotation file."""
    low, high = scale
    values = annotations[[*TARGETS]].to_numpy()
    values = values[np.isfinite(values)] * (high - low) / 2 + (low + high) / 2
    return values.min(), values.max()


def _find_outside(clips: pd.DataFrame, annotations: pd.DataFrame, grid: FrameGrid) -> pd.DataFrame:
    """Find the clips whose audio is long enough, but does not overlap their annotations.

    The columns ``first_s`` and ``last_s`` hold the first and last annotated time.
    """
    times = annotations.groupby("clip_id")["time_s"]
    clips = clips[(clips["problem"] == "") & clips["clip_id"].isin(times.groups)]
    is_outside = [
        grid.count_frames(clip.offset_s, clip.duration_s) >= MIN_FRAMES
        and not grid.is_covered(times.get_group(clip.clip_id), clip.offset_s, clip.duration_s).any()
        for clip in clips.itertuples()
    ]
    spans = times.agg(first_s="min", last_s="max")
    return clips[is_outside].join(spans, on="clip_id")
