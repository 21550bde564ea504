"""Draw chromagrams of clips on the time axis of the attended frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike, NDArray

from emotrace import TARGETS
from emotrace.figures.style import (
    CHROMA_MAP,
    PAGE_WIDTH,
    TARGET_COLOURS,
    Clip,
    find_grid,
    make_caption,
    print_style,
)

PITCH_CLASSES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
MARK_HEIGHT = 3  # points


@dataclass(frozen=True, kw_only=True)
class ChromaClip(Clip):
    """A clip and its chromagram.

    Parameters
    ----------
    chroma : ndarray, shape (12, columns)
        Energy of the pitch classes C, C♯, …, B, 0 or more.
    sounding_s : tuple of float
        Beginning of the first column and end of the last one on the annotations' time line.
    span_s : tuple of float
        Beginning and end of the annotated frames, which are the limits of the time axis.
    attended_s : mapping of str to array_like, optional
        Keys "arousal", "valence" or both; beginnings of the attended frames.
    """

    chroma: NDArray[np.floating]
    sounding_s: tuple[float, float]
    span_s: tuple[float, float]
    attended_s: Mapping[str, ArrayLike] = field(default_factory=dict)


@print_style()
def draw_chromagrams(clips: Sequence[ChromaClip], *, hop_s: float) -> Figure:
    """Draw chromagrams, with attended frames marked above their top edge.

    Parameters
    ----------
    clips : sequence of ChromaClip
        One to six clips.
    hop_s : float
        Seconds between the beginnings of two frames.

    Returns
    -------
    matplotlib.figure.Figure
        One axes per clip, arranged as in the figure of the attended frames, then the colour bar.
        All clips share one colour range, from 0 to the largest energy.
    """
    rows, columns = find_grid(len(clips))
    figure = Figure(figsize=(PAGE_WIDTH, 1.3 + 1.75 * rows), layout="constrained")
    figure.get_layout_engine().set(hspace=0.04, wspace=0.04)
    grid = figure.subplots(rows, columns, squeeze=False)
    for unused in grid.flat[len(clips) :]:
        unused.remove()
    panels = list(grid.flat[: len(clips)])
    norm = Normalize(0, max(float(np.max(clip.chroma)) for clip in clips))
    for axes, clip in zip(panels, clips, strict=True):
        axes.set_title(make_caption(figure, clip, width=PAGE_WIDTH / columns - 0.7))
        _draw_chroma(axes, clip, norm)
        _mark_attended(axes, clip.attended_s, hop_s)
    for axes in panels[-columns:]:
        axes.set_xlabel("time (s)")
    # Put the bar below, so that the panels stay as wide as those of the attended frames.
    bar = figure.colorbar(
        ScalarMappable(norm, CHROMA_MAP), ax=panels, location="bottom", shrink=0.5, aspect=35
    )
    bar.set_label("chroma (relative energy of the pitch class)")
    _add_legend(figure, {target for clip in clips for target in clip.attended_s})
    return figure


def _draw_chroma(axes: Axes, clip: ChromaClip, norm: Normalize) -> None:
    axes.imshow(
        clip.chroma,
        cmap=CHROMA_MAP,
        norm=norm,
        origin="lower",
        extent=(*clip.sounding_s, -0.5, len(PITCH_CLASSES) - 0.5),
        interpolation="nearest",
        aspect="auto",
    )
    axes.set_xlim(*clip.span_s)
    axes.set_yticks(range(len(PITCH_CLASSES)), PITCH_CLASSES, fontsize=6)
    axes.set_ylabel("pitch class")


def _mark_attended(axes: Axes, attended_s: Mapping[str, ArrayLike], hop_s: float) -> None:
    marked = [target for target in reversed(TARGETS) if target in attended_s]
    for row, target in enumerate(marked):
        height = (1.3 * row + 1) * MARK_HEIGHT / 72  # inches above the panel
        rise = ScaledTranslation(0, height, axes.get_figure().dpi_scale_trans)
        starts = np.atleast_1d(attended_s[target])
        axes.hlines(
            np.ones(len(starts)),
            starts,
            starts + hop_s,
            transform=axes.get_xaxis_transform() + rise,
            color=TARGET_COLOURS[target],
            linewidth=MARK_HEIGHT,
            clip_on=False,
        )
    axes.set_title(axes.get_title("left"), pad=4 + 1.3 * MARK_HEIGHT * len(marked))


def _add_legend(figure: Figure, marked: set[str]) -> None:
    entries = {
        f"frames attended to for {target}": Patch(facecolor=TARGET_COLOURS[target])
        for target in TARGETS
        if target in marked
    }
    if entries:
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=2)
