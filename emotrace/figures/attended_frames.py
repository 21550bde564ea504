"""Draw the truth over time, with the frames marked that received most attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from emotrace import TARGETS
from emotrace.figures.style import (
    PAGE_WIDTH,
    TARGET_COLOURS,
    TARGET_MARKERS,
    Clip,
    fill_cells,
    find_edges,
    find_emotion_limits,
    find_grid,
    make_caption,
    number_cells,
    print_style,
    scale_emotion,
)

ATTENDED_SHARE = 0.1
PALE = 0.35  # opacity of the bars of frames that are not marked


@dataclass(frozen=True, kw_only=True)
class AttendedClip(Clip):
    """True curves of a clip and the attention that its frames received. Arrays: (frames,).

    Parameters
    ----------
    times_s : ndarray
        Beginning of each frame on the annotations' time line, ascending; frames may be missing.
    truth : mapping of str to ndarray
        Keys "arousal" and "valence"; mean of the annotators, in [-1, 1].
    received : mapping of str to ndarray
        The same keys; attention weight of each frame, averaged over the predicted frames.
    """

    times_s: NDArray[np.floating]
    truth: Mapping[str, NDArray[np.floating]]
    received: Mapping[str, NDArray[np.floating]]


@print_style()
def draw_attended_frames(
    clips: Sequence[AttendedClip],
    *,
    labels: Mapping[str, str],
    hop_s: float,
    count: int | None = None,
) -> Figure:
    """Draw the truth with the most attended frames marked, above the received attention.

    The attention is drawn as multiples of the uniform weight 1 / frames, starting at 0, so that
    an almost uniform attention looks almost uniform. The figure is blank where frames are
    missing.

    Parameters
    ----------
    clips : sequence of AttendedClip
        One to six clips.
    labels : mapping of str to str
        Name of the model for "arousal" and for "valence", such as "AT_64 on compare".
    hop_s : float
        Seconds between the beginnings of two frames.
    count : int, optional
        Number of frames that are marked in each curve; a tenth of the clip's frames if not given.

    Returns
    -------
    matplotlib.figure.Figure
        Three axes per clip: both curves, attention for arousal, attention for valence. All clips
        share their limits and are arranged as in the figure of the chromagrams.
    """
    rows, columns = find_grid(len(clips))
    figure = Figure(figsize=(PAGE_WIDTH, 0.75 + 2.25 * rows), layout="constrained")
    figure.get_layout_engine().set(hspace=0.04, wspace=0.04)
    cells = figure.add_gridspec(rows, columns)
    panels = []
    for cell, clip in zip(cells, clips, strict=False):
        ratios = [3.2] + [1] * len(TARGETS)
        panel = cell.subgridspec(len(ratios), 1, height_ratios=ratios).subplots(sharex=True)
        panel[0].set_title(make_caption(figure, clip, width=PAGE_WIDTH / columns - 0.7))
        _draw_clip(panel, clip, hop_s, count)
        panels.append(panel)
    _set_limits(panels, clips)
    _add_legend(figure, labels)
    return figure


def find_attended(received: ArrayLike, count: int | None = None) -> NDArray[np.intp]:
    """Find the frames that received most attention.

    Parameters
    ----------
    received : array_like, shape (frames,)
        Attention weight of each frame.
    count : int, optional
        Number of frames to find; a tenth of the frames, rounded, if not given. At least one.

    Returns
    -------
    ndarray of int
        Indices in order of time. Among equal weights, earlier frames are preferred.
    """
    received = np.asarray(received)
    if count is None:
        count = round(ATTENDED_SHARE * received.size)
    order = np.argsort(-received, kind="stable")
    return np.sort(order[: max(1, count)])


def _draw_clip(panel: Sequence[Axes], clip: AttendedClip, hop_s: float, count: int | None) -> None:
    cells, edges = number_cells(clip.times_s, hop_s), find_edges(clip.times_s, hop_s)
    curves, *strips = panel
    curves.axhline(0, color="0.6", linewidth=0.5, zorder=0.5)
    curves.set_ylabel("truth (−1 to 1)")
    curves.set_xlim(edges[0], edges[-1])
    strips[-1].set_xlabel("time (s)")
    for target, strip in zip(TARGETS, strips, strict=True):
        attended = find_attended(clip.received[target], count)
        _draw_truth(curves, edges, cells, clip.truth[target], attended, target)
        _draw_strip(strip, edges, cells, clip.received[target], attended, target)


def _draw_truth(
    axes: Axes,
    edges: NDArray[np.float64],
    cells: NDArray[np.intp],
    truth: NDArray[np.floating],
    attended: NDArray[np.intp],
    target: str,
) -> None:
    # Steps as wide as a frame are aligned with the bars below and with the sound.
    steps = fill_cells(truth, cells)
    axes.stairs(steps, edges, baseline=None, color=TARGET_COLOURS[target], linewidth=1.2)
    centres = (edges[:-1] + edges[1:]) / 2
    axes.plot(centres[cells[attended]], truth[attended], **_mark_style(target))


def _draw_strip(
    axes: Axes,
    edges: NDArray[np.float64],
    cells: NDArray[np.intp],
    received: NDArray[np.floating],
    attended: NDArray[np.intp],
    target: str,
) -> None:
    times_uniform = np.asarray(received) * len(received)
    bars = axes.bar(
        edges[cells],
        times_uniform,
        width=edges[1] - edges[0],
        align="edge",
        color=TARGET_COLOURS[target],
        alpha=PALE,
        edgecolor="white",
        linewidth=0.3,
    )
    for frame in attended:
        bars[frame].set_alpha(1)
    axes.axhline(1, color="black", linewidth=0.7, linestyle=(0, (3, 2)))
    axes.set_ylabel("× 1/T")


def _mark_style(target: str) -> dict[str, object]:
    return {
        "color": TARGET_COLOURS[target],
        "marker": TARGET_MARKERS[target],
        "linestyle": "none",
        "markersize": 4.5,
        "markeredgecolor": "black",
        "markeredgewidth": 0.6,
    }


def _set_limits(panels: Sequence[Sequence[Axes]], clips: Sequence[AttendedClip]) -> None:
    limits = find_emotion_limits(clip.truth[target] for clip in clips for target in TARGETS)
    top = max(len(array) * max(array) for clip in clips for array in clip.received.values())
    for curves, *strips in panels:
        scale_emotion(curves, limits)
        for strip in strips:
            strip.set_ylim(0, max(1.25, 1.1 * top))
            # Above 3, the label of 1 would touch that of 0.
            strip.set_yticks([0, int(top)] if top >= 3 else [0, 1, 2] if top >= 2 else [0, 1])


def _add_legend(figure: Figure, labels: Mapping[str, str]) -> None:
    marks = {
        f"{target}, frames most attended to by {labels[target]}": Line2D(
            [], [], **{**_mark_style(target), "linestyle": "-"}
        )
        for target in TARGETS
    }
    uniform = Line2D([], [], color="black", linewidth=0.7, linestyle=(0, (3, 2)))
    bars = {
        f"attention received for {target} (dark: most)": Patch(
            facecolor=TARGET_COLOURS[target], alpha=PALE
        )
        for target in TARGETS
    }
    entries = marks | {"uniform weight 1/T, T = frames of the clip": uniform} | bars
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2)
