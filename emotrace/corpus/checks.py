"""Broken clips found in one pass, before anything is computed from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pandas as pd

from emotrace import TARGETS
from emotrace.corpus.exclusion import tabulate_excluded
from emotrace.errors import EmotraceError
from emotrace.frames import TOLERANCE, FrameGrid

MIN_FRAMES = 2
"""Annotated frames that a clip must have: one is no trace."""


def find_problems(clips: pd.DataFrame, annotations: pd.DataFrame, grid: FrameGrid) -> pd.DataFrame:
    """List every clip that cannot be used, with all its reasons.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id``, ``path``, ``offset_s``, and what its file turned out to be:
        ``problem`` and ``duration_s``, see `emotrace.corpus.examination.Examination`.
    annotations : pandas.DataFrame
        With ``clip_id``, ``time_s``, ``arousal`` and ``valence``.
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


def refuse_constant(annotations: pd.DataFrame) -> None:
    """Refuse a corpus of which a target never varies.

    Raises
    ------
    EmotraceError
        Naming the target.
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
