"""Define the grid of frames on which features, annotations and predictions are aligned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

TOLERANCE = 1e-6
"""Tolerance as a fraction of a hop, for the rounding of times in decimal notation."""


@dataclass(frozen=True)
class FrameGrid:
    """Grid of frames that begin at integer multiples of the hop on the annotations' time line.

    Parameters
    ----------
    window_s : float
        Seconds of audio that a frame describes, starting at its time.
    hop_s : float
        Seconds between the beginnings of two frames.

    Examples
    --------
    >>> grid = FrameGrid(window_s=0.5, hop_s=0.5)
    >>> grid.first_frame(offset_s=15.0)
    30
    >>> grid.count_frames(offset_s=15.0, duration_s=30.0)
    60
    >>> grid.frame_time(30)
    15.0
    """

    window_s: float
    hop_s: float

    def first_frame(self, offset_s: float) -> int:
        """Return the number of the first frame that does not begin before the audio."""
        return math.ceil(offset_s / self.hop_s - TOLERANCE)

    def count_frames(self, offset_s: float, duration_s: float) -> int:
        """Count the frames that the audio covers.

        A frame is covered if the audio covers at least half of its window. The last label of a
        45 s clip, at 45.0 s, is not covered, since it begins where the audio ends.
        """
        start_s = self.first_frame(offset_s) * self.hop_s - offset_s
        covered = (duration_s - start_s - self.window_s / 2) / self.hop_s
        return max(0, math.floor(covered + TOLERANCE) + 1)

    def is_covered(
        self, times_s: ArrayLike, offset_s: float, duration_s: float
    ) -> NDArray[np.bool_]:
        """Return for each time whether the audio covers the frame that begins there."""
        frames = number_frames(times_s, self.hop_s)
        first = self.first_frame(offset_s)
        return (frames >= first) & (frames < first + self.count_frames(offset_s, duration_s))

    def find_span(
        self, times_s: NDArray[np.float64], offset_s: float, duration_s: float
    ) -> tuple[float, float]:
        """Return the beginning of the first covered frame and the end of the last one."""
        covered = times_s[self.is_covered(times_s, offset_s, duration_s)]
        return float(covered[0]), float(covered[-1] + self.hop_s)

    def frame_time(self, frame: int) -> float:
        """Return the time at which a frame begins, in seconds rounded to a microsecond."""
        return round(frame * self.hop_s, 6)


def number_frames(times_s: ArrayLike, hop_s: float) -> NDArray[np.float64]:
    """Return the number of the frame that begins at each time.

    Times of one frame may differ slightly, since some are written as 30.000001. Always compare
    frames by their numbers, never by their times.

    Parameters
    ----------
    times_s : array_like
        Seconds on the annotations' time line.
    hop_s : float
        Seconds between the beginnings of two frames.

    Returns
    -------
    ndarray
        Integers, stored as floats because a time in a file may be any number.
    """
    return np.round(np.asarray(times_s, dtype=float) / hop_s)
