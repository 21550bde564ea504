"""Features that all figures share: colours, print settings, captions, time axes, saving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names
from matplotlib.ticker import MultipleLocator
from numpy.typing import ArrayLike, NDArray

from emotrace import TARGETS
from emotrace.audio.frames import number_frames
from emotrace.runtime.errors import EmotraceError

# Okabe and Ito, "Color Universal Design" (2008): distinct for all common kinds of colour vision.
TRUTH = "#000000"
SPREAD = "#c8c8c8"
BEST = "#d55e00"
BASELINE = "#0072b2"
TARGET_COLOURS = {"arousal": "#cc79a7", "valence": "#009e73"}
TARGET_MARKERS = {"arousal": "o", "valence": "s"}

WEIGHT_MAP = "viridis"
CHROMA_MAP = "magma"

PAGE_WIDTH = 7.0  # inches: the text width of a two-column page

RESOLUTION = 200  # dots per inch of a PNG
TITLE_SIZE = 8.5
MOST_LETTERS = 100  # per part of a caption; more never fit on a page

# DejaVu comes with matplotlib and covers Latin, Greek, Cyrillic, Hebrew and Arabic; missing glyphs
# are taken from the other fonts.
_FALLBACK_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans CJK KR",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Hiragino Sans",
    "PingFang SC",
    "Apple SD Gothic Neo",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
)

_PRINT_SETTINGS = {
    "font.size": 8,
    "axes.titlesize": TITLE_SIZE,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.3,
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    # Names of songs and models may contain $, _ and ^, which must not be read as formulas.
    "text.parse_math": False,
    # TrueType rather than Type 3: required by publishers, and searchable.
    "pdf.fonttype": 42,
}

# With the date and the version of the program, equal figures would differ.
_METADATA = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Data about a clip that figures print.

    Parameters
    ----------
    clip_id : str
        Id of the clip, as in the clips table.
    title, artist : str or None
        Title and artist; left out of the caption if missing or empty.
    """

    clip_id: str
    title: str | None = None
    artist: str | None = None


def print_style() -> AbstractContextManager[None]:
    """Return the settings for making and saving figures; also usable as a decorator.

    They are based on matplotlib's own defaults, so that your matplotlibrc has no effect.

    Returns
    -------
    context manager
        Applies the settings.
    """
    installed = set(get_font_names())
    fonts = ["DejaVu Sans", *(name for name in _FALLBACK_FONTS if name in installed)]
    settings = {**_PRINT_SETTINGS, "font.family": "sans-serif", "font.sans-serif": fonts}
    return matplotlib.style.context(["default", settings])


def save_figure(figure: Figure, *paths: str | Path) -> None:
    """Write a figure to each path, in the format of its extension.

    Equal figures give equal bytes, because neither date nor version is written.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Figure to write.
    *paths : str or Path
        Paths that end in ``.png`` (200 dots per inch) or ``.pdf`` (fonts embedded).

    Raises
    ------
    EmotraceError
        If a path has another extension.
    """
    for path in map(Path, paths):
        if path.suffix not in _METADATA:
            raise EmotraceError(
                f"{path}: found the ending {path.suffix!r}, expected one of {sorted(_METADATA)}",
                hint="name the figure .png for looking or .pdf for print",
            )
        with print_style():
            figure.savefig(path, dpi=RESOLUTION, metadata=_METADATA[path.suffix])


def make_caption(figure: Figure, clip: Clip, *, width: float) -> str:
    """Return a caption that identifies a clip: "title — artist (clip id)", shortened to fit.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Figure in which the caption is used as a title.
    clip : Clip
        Clip to identify.
    width : float
        Available width in inches. While the caption is wider, the longest of its parts is
        shortened by a letter. A caption may extend beyond the right of its axes; if it is more
        than twice as wide as they are, the layout makes room for it.

    Returns
    -------
    str
        Caption.
    """
    parts = {name: _squeeze(getattr(clip, name)) for name in ("title", "artist", "clip_id")}
    kept = {name: min(len(text), MOST_LETTERS) for name, text in parts.items()}
    probe = figure.text(0, 0, "", fontsize=TITLE_SIZE)
    while True:
        probe.set_text(_join(**{name: _cut(text, kept[name]) for name, text in parts.items()}))
        longest = max(kept, key=lambda name: kept[name])
        if kept[longest] <= 1 or probe.get_window_extent().width <= width * figure.dpi:
            break
        kept[longest] -= 1
    probe.remove()
    return probe.get_text()


def name_models(labels: Mapping[str, str], *, separator: str = ", ") -> str:
    """Return the names of the models of both targets, or one name if they are the same.

    Parameters
    ----------
    labels : mapping of str to str
        Name of the model for "arousal" and for "valence".
    separator : str
        Text between two names.

    Returns
    -------
    str
        Names of the models.
    """
    if len({labels[target] for target in TARGETS}) == 1:
        return labels[TARGETS[0]]
    return separator.join(f"{labels[target]} ({target})" for target in TARGETS)


def number_cells(times_s: ArrayLike, hop_s: float) -> NDArray[np.intp]:
    """Find the cells of a clip's time axis that its frames fill.

    The axis is divided into cells as long as the hop, from the first frame of the clip to the
    end of its last frame. Cells of missing frames stay empty.

    Parameters
    ----------
    times_s : array_like, shape (frames,)
        Beginning of each frame in seconds, ascending.
    hop_s : float
        Seconds between the beginnings of two frames.

    Returns
    -------
    ndarray of int, shape (frames,)
        Number of each frame's cell, starting at 0.
    """
    frames = number_frames(times_s, hop_s)
    return (frames - frames[0]).astype(np.intp)


def find_edges(times_s: ArrayLike, hop_s: float) -> NDArray[np.float64]:
    """Find the edges of the cells of `number_cells`.

    Parameters
    ----------
    times_s, hop_s
        As for `number_cells`.

    Returns
    -------
    ndarray, shape (cells + 1,)
        Edges in seconds.
    """
    return times_s[0] + hop_s * np.arange(number_cells(times_s, hop_s)[-1] + 2)


def fill_cells(values: ArrayLike, cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Copy the values of frames to their cells.

    Parameters
    ----------
    values : array_like, shape (frames,)
        Values of the frames.
    cells : ndarray of int, shape (frames,)
        Cells, as returned by `number_cells`.

    Returns
    -------
    ndarray, shape (cells,)
        Values of the cells; nan where a frame is missing.
    """
    filled = np.full(cells[-1] + 1, np.nan)
    filled[cells] = values
    return filled


def scale_emotion(axes: Axes, limits: tuple[float, float]) -> None:
    """Set the vertical axis of arousal or valence, with ticks as dense as the range allows.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes to change.
    limits : tuple of float
        Limits, as returned by `find_emotion_limits`.
    """
    low, high = limits
    span = high - low
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(MultipleLocator(0.5 if span > 1 else 0.25 if span > 0.5 else 0.1))


def find_emotion_limits(
    curves: Iterable[ArrayLike], bands: Iterable[ArrayLike] = ()
) -> tuple[float, float]:
    """Find limits for all curves, as multiples of a quarter.

    Parameters
    ----------
    curves, bands : iterable of array_like
        Values of arousal or valence; nan is ignored. The scale ends at -1 and 1. Bands are cut
        there; curves that exceed the scale are shown completely.

    Returns
    -------
    tuple of float
        Lower and upper limit.
    """
    lines = np.concatenate([np.ravel(np.asarray(curve, dtype=float)) for curve in curves])
    merged = [lines, *(np.clip(np.ravel(np.asarray(band, float)), -1, 1) for band in bands)]
    values = np.concatenate(merged)
    # A line along the edge of its panel would be cut in half.
    room = 0.04
    low = np.floor((np.nanmin(values) - room) * 4) / 4
    high = np.ceil((np.nanmax(values) + room) * 4) / 4
    is_inside = np.nanmin(lines) >= -1 and np.nanmax(lines) <= 1
    return (float(max(low, -1)), float(min(high, 1))) if is_inside else (float(low), float(high))


def find_grid(clips: int) -> tuple[int, int]:
    """Find the numbers of rows and columns for wide panels: one column up to three clips, then two.

    Parameters
    ----------
    clips : int
        Number of clips; each has one panel.

    Returns
    -------
    tuple of int
        Numbers of rows and columns.
    """
    columns = 1 if clips <= 3 else 2
    return -(-clips // columns), columns


def _squeeze(text: object) -> str:
    # A missing string in a table is None or nan.
    return " ".join(text.split()) if isinstance(text, str) else ""


def _cut(text: str, length: int) -> str:
    return text if length >= len(text) else text[:length].rstrip() + "…"


def _join(*, title: str, artist: str, clip_id: str) -> str:
    name = " — ".join(part for part in (title, artist) if part)
    return f"{name} ({clip_id})" if name else f"clip {clip_id}"
