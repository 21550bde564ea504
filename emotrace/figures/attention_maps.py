"""Draw attention maps: the frames of a clip to which each prediction attended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray

from emotrace import TARGETS
from emotrace.figures.style import (
    PAGE_WIDTH,
    WEIGHT_MAP,
    Clip,
    find_edges,
    make_caption,
    name_models,
    number_cells,
    print_style,
)

# Share of the weights that may lie beyond either end of the colours. A backward model divides the
# weight of its first rows among very few frames, which would make all other rows look dark.
TAIL = 0.01
BACKWARD_TAIL = 0.05
# The colours span at least this fraction of the uniform weight, so that rounding is not visible.
LEAST_SPAN = 0.1


@dataclass(frozen=True, kw_only=True)
class MapClip(Clip):
    """A clip and its attention maps.

    Parameters
    ----------
    times_s : ndarray, shape (frames,)
        Beginning of each frame on the annotations' time line, ascending; frames may be missing.
    weights : mapping of str to ndarray, shape (frames, frames)
        Keys "arousal" and "valence"; row: predicted frame, column: attended frame.
    """

    times_s: NDArray[np.floating]
    weights: Mapping[str, NDArray[np.floating]]


@print_style()
def draw_attention_maps(
    clips: Sequence[MapClip],
    *,
    labels: Mapping[str, str],
    hop_s: float,
    backward: bool = False,
) -> Figure:
    """Draw weights as maps, with attended frames on the x axis and predicted frames on the y axis.

    Rows and columns of missing frames stay blank.

    Parameters
    ----------
    clips : sequence of MapClip
        One to six clips.
    labels : mapping of str to str
        Name of the model for "arousal" and for "valence", such as "AT_64 on compare".
    hop_s : float
        Seconds between the beginnings of two frames.
    backward : bool
        Whether the model attends only to the past (BAT); cells at and after the predicted frame
        then stay blank.

    Returns
    -------
    matplotlib.figure.Figure
        Arousal beside valence for each clip, then the colour bar. All maps share one colour range,
        so that equal colours are equal weights. It spans the 1st to the 99th percentile of the
        drawn weights (5th to 95th if `backward`), and includes the uniform weight.

    Raises
    ------
    ValueError
        If a backward map has a weight at or after the predicted frame, which would be hidden.
    """
    columns = 1 if len(clips) <= 2 else 2
    rows = -(-len(clips) // columns)
    height = 1.1 + rows * (3.2 if columns == 1 else 2.15)
    figure = Figure(figsize=(PAGE_WIDTH, height), layout="compressed")
    figure.suptitle(f"attention of {name_models(labels)}", fontsize=8)
    # (clips, targets)
    grid = figure.subplots(rows, columns * len(TARGETS), squeeze=False)
    panels = grid.reshape(rows * columns, len(TARGETS))
    for unused in panels[len(clips) :].flat:
        unused.remove()
    panels = panels[: len(clips)]
    maps = [mask_weights(clip, target, backward=backward) for clip in clips for target in TARGETS]
    uniform = [] if backward else sorted({1 / len(clip.times_s) for clip in clips})
    tail = BACKWARD_TAIL if backward else TAIL
    norm, extend = find_colour_range(maps, uniform, tail=tail)
    for axes, weights, clip in zip(panels.flat, maps, np.repeat(clips, len(TARGETS)), strict=True):
        _draw_map(axes, weights, clip.times_s, hop_s, norm)
    caption_width = 5.2 if columns == 1 else 2.8
    for pair, clip in zip(panels, clips, strict=True):
        _label_pair(pair, make_caption(figure, clip, width=caption_width))
    for axes in panels[-columns:].flat:
        axes.set_xlabel("attended frame (s)")
    bar = figure.colorbar(
        ScalarMappable(norm, WEIGHT_MAP),
        ax=list(panels.flat),
        location="bottom",
        extend=extend,
        shrink=0.7,
        aspect=35,
    )
    _explain_colours(bar, uniform, tail=tail, backward=backward)
    return figure


def mask_weights(clip: MapClip, target: str, *, backward: bool) -> np.ma.MaskedArray:
    """Blank the cells to which a backward model cannot attend.

    Parameters
    ----------
    clip : MapClip
        Clip with its weights.
    target : str
        "arousal" or "valence".
    backward : bool
        Whether to blank cells; if False, all cells stay as they are.

    Returns
    -------
    masked array, shape (frames, frames)
        Weights.

    Raises
    ------
    ValueError
        If a blanked cell has a weight.
    """
    weights = np.asarray(clip.weights[target], dtype=float)
    blank = np.triu(np.full(weights.shape, backward))
    if weights[blank].any():
        raise ValueError(
            f"clip {clip.clip_id}, {target}: found attention to the own frame or the future, "
            "expected none in a backward map"
        )
    return np.ma.masked_array(weights, blank)


def place_weights(weights: np.ma.MaskedArray, cells: NDArray[np.intp]) -> np.ma.MaskedArray:
    """Copy the weights of a map to the cells of the time axis.

    Parameters
    ----------
    weights : masked array, shape (frames, frames)
        Weights, as returned by `mask_weights`.
    cells : ndarray of int, shape (frames,)
        Cells, as returned by `emotrace.figures.style.number_cells`.

    Returns
    -------
    masked array, shape (cells, cells)
        Weights, also masked where a frame is missing.
    """
    shape = (cells[-1] + 1,) * 2
    placed = np.ma.masked_array(np.zeros(shape), np.full(shape, True))
    placed[np.ix_(cells, cells)] = weights
    return placed


def find_colour_range(
    maps: Sequence[np.ma.MaskedArray], uniform: Sequence[float], *, tail: float
) -> tuple[Normalize, str]:
    """Find the weights at which the colours begin and end.

    Parameters
    ----------
    maps : sequence of masked arrays
        Weights of all maps.
    uniform : sequence of float
        Weights that the range must include.
    tail : float
        Share of the weights that may lie beyond each end.

    Returns
    -------
    matplotlib.colors.Normalize
        Range of the colours.
    str
        Ends beyond which weights lie: "neither", "min", "max" or "both".
    """
    weights = np.concatenate([drawn.compressed() for drawn in maps])
    low, high = np.quantile(weights, [tail, 1 - tail])
    low, high = min(low, *uniform, high), max(high, *uniform, low)
    least = LEAST_SPAN * weights.mean()
    if high - low < least:
        centre = (low + high) / 2
        low, high = centre - least / 2, centre + least / 2
    beyond = (bool(weights.min() < low), bool(weights.max() > high))
    names = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    return Normalize(low, high), names.get(beyond, "both")


def _draw_map(
    axes: Axes,
    weights: np.ma.MaskedArray,
    times_s: NDArray[np.floating],
    hop_s: float,
    norm: Normalize,
) -> None:
    edges = find_edges(times_s, hop_s)
    axes.imshow(
        place_weights(weights, number_cells(times_s, hop_s)),
        cmap=WEIGHT_MAP,
        norm=norm,
        origin="lower",
        extent=(edges[0], edges[-1], edges[0], edges[-1]),
        interpolation="nearest",
        aspect="equal",
    )
    # Use the same ticks on both axes, since both are the time of the clip.
    ticks = MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(edges[0], edges[-1])
    ticks = ticks[(ticks >= edges[0]) & (ticks <= edges[-1])]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)


def _label_pair(pair: Sequence[Axes], caption: str) -> None:
    pair[0].set_title(f"{caption}\n{TARGETS[0]}")
    pair[1].set_title(TARGETS[1])
    pair[0].set_ylabel("predicted frame (s)")
    pair[1].tick_params(labelleft=False)


def _explain_colours(
    bar: Colorbar, uniform: Sequence[float], *, tail: float, backward: bool
) -> None:
    lines = ["attention weight"]
    if uniform:
        values = ", ".join(f"1/{round(1 / weight)} = {weight:.3g}" for weight in uniform)
        lines[0] += f" (line: uniform weight {values})"
    if backward:
        lines[0] += " (blank: own frame and future, which the model does not attend to)"
    if bar.extend != "neither":
        lines.append(f"arrow: at most {tail:.0%} of the weights lie beyond that end")
    bar.set_label("\n".join(lines))
    plain = ScalarFormatter(useOffset=False)
    plain.set_scientific(False)
    bar.ax.xaxis.set_major_formatter(plain)
    for weight in uniform:
        # Black on white is visible on every colour of the map.
        bar.ax.axvline(weight, color="white", linewidth=2.6)
        bar.ax.axvline(weight, color="black", linewidth=1.1)
