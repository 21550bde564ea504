"""Draw curves of arousal and valence over time: truth, chosen model, baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from emotrace import TARGETS
from emotrace.audio.frames import number_frames
from emotrace.figures.style import (
    BASELINE,
    BEST,
    PAGE_WIDTH,
    SPREAD,
    TRUTH,
    Clip,
    find_emotion_limits,
    make_caption,
    name_models,
    print_style,
    scale_emotion,
)

BEST_STYLE = {"color": BEST, "linewidth": 1.5}
BASELINE_STYLE = {"color": BASELINE, "linewidth": 1.2, "linestyle": (0, (4, 1.5))}
TRUTH_STYLE = {"color": TRUTH, "linewidth": 1.3}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One target of one clip over time. All arrays have the shape (frames,).

    Parameters
    ----------
    times_s : ndarray
        Seconds on the annotations' time line, ascending; frames may be missing.
    truth : ndarray
        Mean of the annotators, in [-1, 1].
    truth_std : ndarray
        Standard deviation of the annotators; nan if unknown, in which case no band is drawn.
    best, baseline : ndarray
        Predictions of the chosen model and of the baseline; nan where there is none.
    """

    times_s: NDArray[np.floating]
    truth: NDArray[np.floating]
    truth_std: NDArray[np.floating]
    best: NDArray[np.floating]
    baseline: NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class CurveClip(Clip):
    """A clip and its curves of both targets.

    Parameters
    ----------
    curves : mapping of str to Curve
        Keys "arousal" and "valence".
    """

    curves: Mapping[str, Curve]


@print_style()
def draw_curves(
    clips: Sequence[CurveClip],
    *,
    best_labels: Mapping[str, str],
    baseline_label: str,
    hop_s: float,
) -> Figure:
    """Draw arousal and valence over time, one row per clip.

    Lines break where frames are missing.

    Parameters
    ----------
    clips : sequence of CurveClip
        One to six clips.
    best_labels : mapping of str to str
        Name of the chosen model for "arousal" and for "valence", such as "AT_64 on compare".
    baseline_label : str
        Name of the baseline.
    hop_s : float
        Seconds between the beginnings of two frames.

    Returns
    -------
    matplotlib.figure.Figure
        One row per clip, arousal before valence; all axes share their y limits.
    """
    height = 0.75 + 1.45 * len(clips)
    figure = Figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(hspace=0.03, wspace=0.05)
    grid = figure.subplots(len(clips), len(TARGETS), squeeze=False, sharey=True)
    for row, clip in zip(grid, clips, strict=True):
        row[0].set_title(make_caption(figure, clip, width=5.2))
        for axes, target in zip(row, TARGETS, strict=True):
            _draw_curve(axes, clip.curves[target], hop_s)
            axes.set_ylabel(f"{target} (−1 to 1)")
            axes.tick_params(labelleft=True)
    for axes in grid[-1]:
        axes.set_xlabel("time (s)")
    _set_limits(grid[0, 0], clips)
    _add_legend(figure, clips, best_labels=best_labels, baseline_label=baseline_label)
    return figure


def lay_line(
    times_s: NDArray[np.floating], hop_s: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Lay out the points of a line that breaks where frames are missing.

    The last frame before a gap, like the last frame of the clip, is drawn until its end, so that
    a frame without neighbours is visible.

    Parameters
    ----------
    times_s : ndarray, shape (frames,)
        Beginning of each frame in seconds, ascending.
    hop_s : float
        Seconds between the beginnings of two frames.

    Returns
    -------
    x_s : ndarray, shape (points,)
        Seconds; nan where the line breaks.
    frames : ndarray of int, shape (points,)
        Frame whose value each point has.
    """
    is_last = np.append(np.diff(number_frames(times_s, hop_s)) > 1, True)
    x_s = np.column_stack([times_s, times_s + hop_s, np.full(len(times_s), np.nan)])
    is_drawn = np.column_stack([np.full(len(times_s), True), is_last, is_last])
    frames = np.arange(len(times_s))[:, np.newaxis].repeat(3, axis=1)
    return x_s[is_drawn], frames[is_drawn]


def _draw_curve(axes: Axes, curve: Curve, hop_s: float) -> None:
    x_s, frames = lay_line(curve.times_s, hop_s)
    low, high = curve.truth - curve.truth_std, curve.truth + curve.truth_std
    axes.fill_between(x_s, low[frames], high[frames], color=SPREAD, alpha=0.55, linewidth=0)
    axes.axhline(0, color="0.6", linewidth=0.5, zorder=0.5)
    axes.plot(x_s, curve.baseline[frames], **BASELINE_STYLE)
    axes.plot(x_s, curve.best[frames], **BEST_STYLE)
    axes.plot(x_s, curve.truth[frames], **TRUTH_STYLE)
    axes.set_xlim(curve.times_s[0], curve.times_s[-1] + hop_s)


def _set_limits(axes: Axes, clips: Sequence[CurveClip]) -> None:
    curves = [curve for clip in clips for curve in clip.curves.values()]
    lines = [line for curve in curves for line in (curve.truth, curve.best, curve.baseline)]
    bands = [curve.truth + sign * curve.truth_std for curve in curves for sign in (-1, 1)]
    scale_emotion(axes, find_emotion_limits(lines, bands))


def _add_legend(
    figure: Figure,
    clips: Sequence[CurveClip],
    *,
    best_labels: Mapping[str, str],
    baseline_label: str,
) -> None:
    entries = {"annotators' mean": Line2D([], [], **TRUTH_STYLE)}
    spreads = [curve.truth_std for clip in clips for curve in clip.curves.values()]
    if np.isfinite(np.concatenate(spreads)).any():
        band = Patch(facecolor=SPREAD, alpha=0.55, linewidth=0)
        entries["± one standard deviation of the annotators"] = band
    best = name_models(best_labels, separator=",\n")
    entries[f"chosen model: {best}"] = Line2D([], [], **BEST_STYLE)
    entries[f"baseline: {baseline_label}"] = Line2D([], [], **BASELINE_STYLE)
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2)
