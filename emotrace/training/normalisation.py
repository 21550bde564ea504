"""Normalise features with statistics of the training set alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

ROUNDING = 1e-6
"""Relative spread below which the variation of a float32 column is only rounding."""

RARE_SHARE = 0.01
"""Share of frames; a column that differs from its median in fewer of them is near-constant."""

RANGE = (0.05, 0.95)
NORMAL_RANGE = 3.29
"""Width of this range for a normal distribution, in standard deviations."""

COLUMNS_AT_ONCE = 32
"""Number of columns whose frames are copied at once for sorting and summing."""


@dataclass(frozen=True)
class Normalisation:
    """Centre, scale and clip the columns that vary.

    A column that hardly varies in the training set has a scale near zero, so its values explode
    on a test clip in which it does vary. Such columns are left out. The others are clipped, so
    that no single value can dominate a prediction.

    Parameters
    ----------
    kept : numpy.ndarray of bool, shape (features,)
        Whether each column is kept.
    centre, scale : numpy.ndarray, shape (kept features,), float32
        Centre and scale of each kept column.
    limit : float
        Largest magnitude after scaling.
    """

    kept: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    limit: float

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Normalise ``(..., features)`` to ``(..., kept features)``, float32."""
        scaled = features[..., self.kept]
        scaled -= self.centre
        scaled /= self.scale
        return np.clip(scaled, -self.limit, self.limit, out=scaled)


def fit_normalisation(
    frames: np.ndarray, rows: np.ndarray | None = None, *, scaling: str, limit: float
) -> Normalisation:
    """Determine which columns vary, and their centre and scale.

    Parameters
    ----------
    frames : numpy.ndarray, shape (frames, features), float32
        Features of all frames.
    rows : numpy.ndarray of int, optional
        Rows of the training set, the only ones that are used; all rows if not given.
    scaling : {"robust", "z_score"}
        ``robust``: median, and the range from the 5th to the 95th percentile, in units in which
        a normal distribution has the standard deviation 1. Otherwise a few outliers would
        determine the scale of openSMILE's heavy-tailed columns. ``z_score``: mean and standard
        deviation.
    limit : float
        Largest magnitude after scaling.

    Returns
    -------
    Normalisation
        Normalisation for any frames with the same features.
    """
    n_blocks = math.ceil(frames.shape[1] / COLUMNS_AT_ONCE)
    # Use blocks of similar width, since numpy sums a single column in another order.
    learnt = [
        _learn_columns(block if rows is None else block[rows], scaling)
        for block in np.array_split(frames, n_blocks, axis=1)  # views
    ]
    kept, centre, scale = (np.concatenate(part) for part in zip(*learnt, strict=True))
    return Normalisation(
        kept=kept,
        centre=centre[kept].astype(np.float32),
        scale=scale[kept].astype(np.float32),
        limit=limit,
    )


def _learn_columns(frames: np.ndarray, scaling: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which columns vary, and the centre and scale of these."""
    low, median, high = _find_quantiles(frames, (RANGE[0], 0.5, RANGE[1]))
    mean = frames.mean(axis=0, dtype=np.float64)
    std = frames.std(axis=0, dtype=np.float64)
    rounding = ROUNDING * np.abs(frames).max(axis=0)
    kept = (std > rounding) & ((frames != median).mean(axis=0) >= RARE_SHARE)
    if scaling == "z_score":
        return kept, mean, std
    spread = (high - low).astype(np.float64) / NORMAL_RANGE
    # If nine of ten values are equal, only the standard deviation provides a scale.
    return kept, median, np.where(spread > rounding, spread, std)


def _find_quantiles(frames: np.ndarray, shares: tuple[float, ...]) -> list[np.ndarray]:
    """Return the nearest-rank quantiles of each column, each of shape ``(features,)``."""
    ranks = [round(share * (len(frames) - 1)) for share in shares]
    ordered = np.partition(frames, ranks, axis=0)
    return [ordered[rank] for rank in ranks]
