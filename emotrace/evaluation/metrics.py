"""R2, Kendall's tau-b, MAE, RMSE and CCC, each with a song-level bootstrap interval.

All but tau are pooled over the frames of all clips (a clip's own R2 means
little where 98 % of the variance lies between clips); tau is computed per clip
and averaged. Every one of them is a function of sums over clips, so that a
bootstrap over songs only weighs clips anew.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

METRICS = ("r2", "tau", "mae", "rmse", "ccc")

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
    "constant",
)
"""Columns of `summarise_clips`."""


def summarise_clips(frames: pd.DataFrame) -> pd.DataFrame:
    """Sum up each clip, so that any set of clips can be scored from its rows.

    Parameters
    ----------
    frames : pandas.DataFrame
        ``clip_id``, ``truth`` and ``prediction``; one row per frame, in order of time.

    Returns
    -------
    pandas.DataFrame
        One row per clip, indexed by ``clip_id``, columns `SUMS`. ``constant`` is 1
        where tau is undefined, because truth or prediction never moves; such a
        tau counts as 0.
    """
    rows = {clip_id: _sum_clip(clip) for clip_id, clip in frames.groupby("clip_id")}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(SUMS))


def _sum_clip(clip: pd.DataFrame) -> tuple[float, ...]:
    truth = clip["truth"].to_numpy(np.float64)
    prediction = clip["prediction"].to_numpy(np.float64)
    error = prediction - truth
    tau, constant = compute_tau(truth, prediction)
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
        tau,
        constant,
    )


def compute_tau(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, bool]:
    """Return Kendall's tau-b of one clip, and whether it was undefined and counted as 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tau = kendalltau(truth, prediction).statistic
    return (0.0, True) if np.isnan(tau) else (float(tau), False)


def score_clips(sums: pd.DataFrame, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Compute all metrics from the sums of clips.

    Parameters
    ----------
    sums : pandas.DataFrame
        As `summarise_clips` returns it.
    weights : numpy.ndarray, shape (samples, clips), optional
        How often each clip counts; once where not given.

    Returns
    -------
    dict of str to numpy.ndarray
        For each of `METRICS` an array of shape (samples,).
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
    spread = truth_variance + prediction_variance + (truth_mean - prediction_mean) ** 2
    return {
        "r2": 1 - mean_squared_error / truth_variance,
        "tau": total["tau"] / total["clips"],
        "mae": total["error_absolute"] / frames,
        "rmse": np.sqrt(mean_squared_error),
        "ccc": 2 * covariance / spread,
    }


def resample_clips(n_clips: int, n_samples: int, seed: int = 0) -> np.ndarray:
    """Draw clips with replacement, equally many as there are.

    Returns
    -------
    numpy.ndarray, shape (samples, clips)
        How often each clip was drawn.
    """
    generator = np.random.default_rng(seed)
    return generator.multinomial(n_clips, np.full(n_clips, 1 / n_clips), size=n_samples)


def score_with_intervals(sums: pd.DataFrame, n_samples: int) -> dict[str, float]:
    """Score clips, with 95 % song-level bootstrap intervals.

    Parameters
    ----------
    sums : pandas.DataFrame
        As `summarise_clips` returns it.
    n_samples : int
        Bootstrap samples; the same clips are drawn for every model.

    Returns
    -------
    dict of str to float
        For each metric ``r2``, ``r2_low`` and ``r2_high`` (the 2.5th and 97.5th
        percentile).
    """
    scores = score_clips(sums)
    samples = score_clips(sums, resample_clips(len(sums), n_samples))
    row = {}
    for metric in METRICS:
        row[metric] = float(scores[metric][0])
        low, high = np.nanpercentile(samples[metric], [2.5, 97.5])
        row[f"{metric}_low"], row[f"{metric}_high"] = float(low), float(high)
    return row


def score_seeds(sums_by_seed: Sequence[pd.DataFrame]) -> dict[str, float]:
    """Score every seed alone: what one trained model reaches, and how much that varies.

    Parameters
    ----------
    sums_by_seed : sequence of pandas.DataFrame
        One `summarise_clips` per seed.

    Returns
    -------
    dict of str to float
        For each metric ``r2_one_seed``, the mean over seeds, and ``r2_seed_std``,
        the standard deviation (nan for a single seed).
    """
    scores = [score_clips(sums) for sums in sums_by_seed]
    row = {}
    for metric in METRICS:
        values = np.array([score[metric][0] for score in scores])
        row[f"{metric}_one_seed"] = float(values.mean())
        row[f"{metric}_seed_std"] = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    return row
