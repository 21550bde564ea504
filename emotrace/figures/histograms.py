"""Draw histograms of the error per clip, with the chosen model beside the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from emotrace import TARGETS
from emotrace.figures.style import BASELINE, BEST, PAGE_WIDTH, print_style

MOST_BINS = 32
BIN_WIDTHS = (0.0025, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1)


@dataclass(frozen=True, kw_only=True)
class TargetErrors:
    """Errors of two models that are compared on one target.

    Parameters
    ----------
    best, baseline : ndarray, shape (clips,)
        Mean absolute error of each evaluated clip, 0 or more.
    best_label, baseline_label : str
        Names of the models, such as "AT_64 on compare".
    """

    best: NDArray[np.floating]
    baseline: NDArray[np.floating]
    best_label: str
    baseline_label: str


@print_style()
def draw_error_histograms(errors: Mapping[str, TargetErrors]) -> Figure:
    """Draw the distribution of the errors over clips.

    Parameters
    ----------
    errors : mapping of str to TargetErrors
        Keys "arousal" and "valence".

    Returns
    -------
    matplotlib.figure.Figure
        Rows for arousal and valence, columns for chosen model and baseline. All four panels share
        their bins and both axes.
    """
    figure = Figure(figsize=(PAGE_WIDTH, 4.3), layout="constrained")
    figure.get_layout_engine().set(hspace=0.05, wspace=0.05)
    grid = figure.subplots(len(TARGETS), 2, sharex=True, sharey=True)
    edges = find_bins(array for each in errors.values() for array in (each.best, each.baseline))
    for row, target in zip(grid, TARGETS, strict=True):
        each = errors[target]
        _draw_panel(row[0], each.best, edges, BEST)
        _draw_panel(row[1], each.baseline, edges, BASELINE)
        row[0].set_title(_make_title(target, "chosen model", each.best_label, each.best))
        row[1].set_title(_make_title(target, "baseline", each.baseline_label, each.baseline))
        row[0].set_ylabel("clips")
    for axes in grid[-1]:
        axes.set_xlabel("mean absolute error of a clip (scale −1 to 1)")
    _set_limits(grid[0, 0], edges)
    for axes, each in zip(grid.flat, _list_panels(errors), strict=True):
        _mark_median(axes, each)
    return figure


def find_bins(errors: Iterable[NDArray[np.floating]]) -> NDArray[np.float64]:
    """Find bins that start at 0 and hold all errors: the finest round width with up to 32 bins.

    Parameters
    ----------
    errors : iterable of ndarray
        Errors, 0 or more.

    Returns
    -------
    ndarray, shape (bins + 1,)
        Edges of the bins.
    """
    largest = max(float(np.max(array)) for array in errors)
    fits = (width for width in BIN_WIDTHS if largest <= width * MOST_BINS)
    width = next(fits, largest / MOST_BINS)
    bins = max(1, int(np.ceil(round(largest / width, 9))))
    return width * np.arange(bins + 1)


def _list_panels(errors: Mapping[str, TargetErrors]) -> list[NDArray[np.floating]]:
    both = ((errors[target].best, errors[target].baseline) for target in TARGETS)
    return [panel for pair in both for panel in pair]


def _make_title(target: str, role: str, label: str, values: NDArray[np.floating]) -> str:
    clips = "1 clip" if len(values) == 1 else f"{len(values)} clips"
    return f"{target}, {role}, {clips}\n{label}"


def _draw_panel(
    axes: Axes, values: NDArray[np.floating], edges: NDArray[np.float64], colour: str
) -> None:
    # Because of rounding, the largest value may lie slightly beyond the last edge.
    inside = np.clip(values, edges[0], edges[-1])
    axes.hist(inside, bins=edges, color=colour, alpha=0.75, edgecolor="white", linewidth=0.6)
    axes.tick_params(labelbottom=True, labelleft=True)


def _set_limits(axes: Axes, edges: NDArray[np.float64]) -> None:
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))
    # Leave room at the top, so that the label of the median hides no bar.
    axes.set_ylim(0, axes.get_ylim()[1] * 1.12)


def _mark_median(axes: Axes, values: NDArray[np.floating]) -> None:
    median = float(np.median(values))
    axes.axvline(median, color="black", linewidth=1, linestyle=(0, (3, 2)))
    is_left = median < 0.6 * axes.get_xlim()[1]
    axes.annotate(
        f"median {median:.3f}",
        (median, 1),
        xycoords=("data", "axes fraction"),
        xytext=(3 if is_left else -3, -1),
        textcoords="offset points",
        ha="left" if is_left else "right",
        va="top",
    )
