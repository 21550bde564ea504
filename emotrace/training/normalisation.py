"""Features on one scale, learnt from training clips alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

ROUNDING = 1e-6
"""Relative spread below which a float32 column holds nothing but rounding."""

RARE_SHARE = 0.01
"""A column that leaves its median in fewer frames than this is near-constant."""

RANGE = (0.05, 0.95)
NORMAL_RANGE = 3.29
"""Width of this range of a normal distribution, in standard deviations."""

COLUMNS_AT_ONCE = 32
"""Columns whose frames are copied at once to be ordered and summed."""


@dataclass(frozen=True)
class Normalisation:
    """Centre, scale and clip the columns that vary.

    A column that hardly moves in training has a scale near zero and explodes on
    a test clip in which it does move, so it is left out; what remains is clipped,
    so that no single value can dominate a prediction.

    Parameters
    ----------
    kept : numpy.ndarray of bool, shape (features,)
    centre, scale : numpy.ndarray, shape (kept features,), float32
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
    """Learn which columns vary, and their centre and scale.

    Parameters
    ----------
    frames : numpy.ndarray, shape (frames, features), float32
    rows : numpy.ndarray of int, optional
        Those of training clips, which alone are learnt from; all if not given.
    scaling : {"robust", "z_score"}
        ``robust``: median, and the range from the 5th to the 95th percentile in
        units in which a normal distribution has the standard deviation 1. Of the
        heavy-tailed columns of openSMILE, a few outliers would else decide the
        scale. ``z_score``: mean and standard deviation.
    limit : float
        Largest magnitude after scaling.

    Returns
    -------
    Normalisation
    """
    n_blocks = math.ceil(frames.shape[1] / COLUMNS_AT_ONCE)
    # Blocks of like width: numpy adds up a column that stands alone in another order.
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
    """Return which columns vary, their centres and their scales."""
    low, median, high = _find_quantiles(frames, (RANGE[0], 0.5, RANGE[1]))
    mean = frames.mean(axis=0, dtype=np.float64)
    std = frames.std(axis=0, dtype=np.float64)
    rounding = ROUNDING * np.abs(frames).max(axis=0)
    kept = (std > rounding) & ((frames != median).mean(axis=0) >= RARE_SHARE)
    if scaling == "z_score":
        return kept, mean, std
    spread = (high - low).astype(np.float64) / NORMAL_RANGE
    # Where nine of ten values are equal, only the standard deviation tells a scale.
    return kept, median, np.where(spread > rounding, spread, std)


def _find_quantiles(frames: np.ndarray, shares: tuple[float, ...]) -> list[np.ndarray]:
    """Return the nearest-rank quantiles of each column, ``(features,)`` each."""
    ranks = [round(share * (len(frames) - 1)) for share in shares]
    ordered = np.partition(frames, ranks, axis=0)
    return [ordered[rank] for rank in ranks]
