"""Compute metrics of predictions, with song-level bootstrap intervals.

R2, MAE, RMSE, CCC and calibration are pooled over the frames of all clips, since the R2 of a
single clip means little if 98 % of the variance lies between clips. Kendall's tau-b and Pearson's
r are computed within each clip and averaged. Each metric is a function of sums over clips, so a
bootstrap over songs only changes the weights of the clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

METRICS = ("r2", "tau", "within_r", "mae", "rmse", "ccc", "spread", "slope", "bias")

SUMS = (
    "clips",
    "frames",
    "truth",
    "prediction",
    "truth_squared",
    "prediction_squared",
    "product",
    "error_squared",
    "error_absolute",
    "tau",
    "correlation",
    "constant",
)
"""Columns of `summarise_clips`."""

LEAST_VARIANCE = 1e-12
"""Variance below which labels or predictions count as constant, since rounding leaves as much."""


def summarise_clips(frames: pd.DataFrame) -> pd.DataFrame:
    """Summarise each clip, so that any set of clips can be scored from its rows.

    Parameters
    ----------
    frames : pandas.DataFrame
        ``clip_id``, ``truth`` and ``prediction``; one row per frame, in order of time.

    Returns
    -------
    pandas.DataFrame
        One row per clip, indexed by ``clip_id``, with the columns `SUMS`. ``constant`` is 1 if
        tau and ``correlation`` (Pearson's r) are undefined, because truth or prediction is
        constant; both then count as 0.
    """
    rows = {clip_id: _sum_clip(clip) for clip_id, clip in frames.groupby("clip_id")}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(SUMS))


def _sum_clip(clip: pd.DataFrame) -> tuple[float, ...]:
    truth = clip["truth"].to_numpy(np.float64)
    prediction = clip["prediction"].to_numpy(np.float64)
    error = prediction - truth
    tau, correlation = correlate(truth, prediction)
    return (
        1,
        len(clip),
        truth.sum(),
        prediction.sum(),
        (truth**2).sum(),
        (prediction**2).sum(),
        (truth * prediction).sum(),
        (error**2).sum(),
        np.abs(error).sum(),
        np.nan_to_num(tau),
        np.nan_to_num(correlation),
        np.isnan(tau),
    )


def correlate(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
    """Return Kendall's tau-b and Pearson's r of one clip; nan if either input is constant."""
    if np.ptp(truth) == 0 or np.ptp(prediction) == 0:
        return np.nan, np.nan
    return kendalltau(truth, prediction).statistic, np.corrcoef(truth, prediction)[0, 1]


def score_clips(sums: pd.DataFrame, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Compute all metrics from summaries of clips.

    Parameters
    ----------
    sums : pandas.DataFrame
        Summaries, as returned by `summarise_clips`.
    weights : numpy.ndarray, shape (samples, clips), optional
        Weight of each clip; 1 if not given.

    Returns
    -------
    dict of str to numpy.ndarray
        For each of `METRICS`, an array of shape (samples,). ``spread`` is the standard deviation
        of the predictions relative to that of the truth; ``slope`` is the slope of the regression
        of truth on prediction, 1 if calibrated; ``bias`` is the mean error. R2, CCC and
        ``spread`` are nan if the truth is constant; ``slope`` is nan if the prediction is.

    Examples
    --------
    >>> frames = pd.DataFrame({"clip_id": ["a", "a", "a", "b", "b", "b"]})
    >>> frames["truth"] = [0.1, 0.2, 0.3, -0.3, -0.2, -0.1]
    >>> frames["prediction"] = [0.1, 0.2, 0.2, -0.2, -0.3, -0.1]
    >>> scores = score_clips(summarise_clips(frames))
    >>> {name: round(float(scores[name][0]), 3) for name in ("r2", "ccc", "tau")}
    {'r2': 0.893, 'ccc': 0.941, 'tau': 0.575}
    """
    if weights is None:
        weights = np.ones((1, len(sums)))
    total = {name: weights @ sums[name].to_numpy(np.float64) for name in SUMS}
    frames = total["frames"]
    truth_mean = total["truth"] / frames
    prediction_mean = total["prediction"] / frames
    truth_variance = total["truth_squared"] / frames - truth_mean**2
    prediction_variance = total["prediction_squared"] / frames - prediction_mean**2
    covariance = total["product"] / frames - truth_mean * prediction_mean
    mean_squared_error = total["error_squared"] / frames
    # R2 is a share of the variance, so it is undefined without variance.
    truth_variance = np.where(truth_variance > LEAST_VARIANCE, truth_variance, np.nan)
    # Rounding can make the variance of a constant prediction negative.
    prediction_variance = np.maximum(prediction_variance, 0.0)
    bias = prediction_mean - truth_mean
    # A constant prediction has no slope, so it is nan, which is an empty cell in a CSV.
    moves = prediction_variance > LEAST_VARIANCE
    slope = np.divide(covariance, prediction_variance, where=moves, out=np.full_like(bias, np.nan))
    return {
        "r2": 1 - mean_squared_error / truth_variance,
        "tau": total["tau"] / total["clips"],
        "within_r": total["correlation"] / total["clips"],
        "mae": total["error_absolute"] / frames,
        "rmse": np.sqrt(mean_squared_error),
        "ccc": 2 * covariance / (truth_variance + prediction_variance + bias**2),
        "spread": np.sqrt(prediction_variance / truth_variance),
        "slope": slope,
        "bias": bias,
    }


def resample_clips(n_clips: int, n_samples: int, seed: int = 0) -> np.ndarray:
    """Draw clips with replacement, as many as there are.

    Returns
    -------
    numpy.ndarray, shape (samples, clips)
        Number of times each clip was drawn.
    """
    generator = np.random.default_rng(seed)
    return generator.multinomial(n_clips, np.full(n_clips, 1 / n_clips), size=n_samples)


def score_with_intervals(sums: pd.DataFrame, n_samples: int) -> dict[str, float]:
    """Score clips with 95 % song-level bootstrap intervals.

    Parameters
    ----------
    sums : pandas.DataFrame
        Summaries, as returned by `summarise_clips`.
    n_samples : int
        Number of bootstrap samples; the same clips are drawn for every model.

    Returns
    -------
    dict of str to float
        For each metric, for example, ``r2``, ``r2_low`` and ``r2_high`` (the 2.5th and 97.5th
        percentiles).
    """
    scores = score_clips(sums)
    samples = score_clips(sums, resample_clips(len(sums), n_samples))
    row = {}
    for metric in METRICS:
        row[metric] = float(scores[metric][0])
        low, high = find_interval(samples[metric])
        row[f"{metric}_low"], row[f"{metric}_high"] = low, high
    return row


def find_interval(samples: np.ndarray) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentiles of the samples that are not nan."""
    samples = samples[~np.isnan(samples)]
    if len(samples) == 0:
        return np.nan, np.nan
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def score_seeds(sums_by_seed: Sequence[pd.DataFrame]) -> dict[str, float]:
    """Score every seed separately, and measure how much the scores vary.

    Parameters
    ----------
    sums_by_seed : sequence of pandas.DataFrame
        Summaries of each seed, as returned by `summarise_clips`.

    Returns
    -------
    dict of str to float
        For each metric, for example, ``r2_one_seed``, the mean over seeds, and ``r2_seed_std``,
        the standard deviation (nan for a single seed); both are nan without seeds.
    """
    scores = [score_clips(sums) for sums in sums_by_seed]
    row = {}
    for metric in METRICS:
        values = np.array([score[metric][0] for score in scores])
        row[f"{metric}_one_seed"] = float(values.mean()) if len(values) else np.nan
        row[f"{metric}_seed_std"] = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return row
