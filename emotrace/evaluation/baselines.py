"""Baselines for comparison with the models: without audio, simple, and with perfect knowledge."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import pearsonr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVR

from emotrace import TARGETS
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.folds import Fold, make_folds
from emotrace.splits.groups import name_artists, number_recordings
from emotrace.splits.protocol import Protocol
from emotrace.splits.spelling import fold_spelling
from emotrace.training.normalisation import fit_normalisation
from emotrace.training.sequences import Sequences

LIMIT = 5.0
"""Magnitude at which normalised values are clipped."""

FEWEST_CLIPS = 4
"""Smallest number of clips for a regression, with clips of equal audio counted once."""

INNER_FOLDS = 5
"""Number of artist-disjoint folds of the training clips for choosing a regression's settings."""

RIDGE_GRID = {"ridge__alpha": [1, 10, 100, 1e3, 1e4, 3e4, 1e5]}
SVR_GRID = {"svr__C": [0.1, 0.3, 1.0, 3.0, 10.0]}
"""Settings that cover feature sets of a few features and of thousands."""

SHUFFLE_SEED = 584
"""Seed with which labels are assigned to other clips for the sanity check."""

LUCK = 1e-4
"""Probability under chance below which shuffled labels count as learnt."""


@dataclass(frozen=True)
class Problem:
    """Input of a baseline for one fold and one target.

    Parameters
    ----------
    labels : numpy.ndarray, shape (clips, frames)
        Labels of all clips; nan where a clip has no frame.
    times : numpy.ndarray, shape (clips, frames)
        Times in seconds; nan where a clip has no frame.
    pooled : numpy.ndarray, shape (clips, 2 features)
        Mean and standard deviation of the features over the frames of each clip.
    artists, genres : numpy.ndarray of str, shape (clips,)
        Artist and genre of each clip.
    recordings : numpy.ndarray of int, shape (clips,)
        Recording of each clip; see `emotrace.splits.groups.number_recordings`.
    train, test : numpy.ndarray of int
        Rows of the training clips and of the test clips.
    """

    labels: np.ndarray
    times: np.ndarray
    pooled: np.ndarray
    artists: np.ndarray
    genres: np.ndarray
    recordings: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """Mean label of each training clip, shape (training clips,)."""
        return np.nanmean(self.labels[self.train], axis=1)

    def hold(self, values: np.ndarray | float) -> np.ndarray:
        """Predict the same value at all frames of a test clip, shape (test clips, frames)."""
        return np.broadcast_to(
            np.reshape(values, (-1, 1)), (len(self.test), self.labels.shape[1])
        ).copy()


def predict_mean(problem: Problem) -> np.ndarray:
    """Predict the mean of the training labels."""
    return problem.hold(np.nanmean(problem.labels[problem.train]))


def predict_artist_mean(problem: Problem) -> np.ndarray:
    """Predict the mean of the artist's training clips, shrunk towards the mean of the genre.

    The mean of n clips by one artist has the variance s2 / n around the artist's own mean, which
    has the variance t2 around the mean of the genre. The best linear weight is therefore
    n / (n + s2 / t2). s2 and t2 are estimated from the training clips. No audio is used.
    """
    artists, genres = problem.artists[problem.train], problem.genres[problem.train]
    overall = problem.means.mean()
    by_genre = pd.Series(problem.means).groupby(genres).mean()
    rest = problem.means - by_genre.loc[genres].to_numpy()
    ratio = _estimate_variance_ratio(rest, artists)
    sums = pd.Series(rest).groupby(artists).agg(["sum", "count"])
    shrunk = sums["sum"] / (sums["count"] + ratio)
    expected = by_genre.reindex(problem.genres[problem.test]).fillna(overall).to_numpy()
    return problem.hold(
        expected + shrunk.reindex(problem.artists[problem.test]).fillna(0.0).to_numpy()
    )


def _estimate_variance_ratio(values: np.ndarray, groups: np.ndarray) -> float:
    """Estimate s2 / t2 by an analysis of variance with one random effect."""
    frame = pd.Series(values).groupby(groups)
    counts = frame.count()
    n, n_groups = len(values), len(counts)
    if n_groups in (1, n):
        return np.inf  # The effects of artists and clips cannot be separated.
    within = ((values - frame.transform("mean")) ** 2).sum() / (n - n_groups)
    between = (counts * (frame.mean() - values.mean()) ** 2).sum() / (n_groups - 1)
    typical = (n - (counts**2).sum() / n) / (n_groups - 1)
    return within / max((between - within) / typical, 1e-12)


def predict_ramp(problem: Problem) -> np.ndarray:
    """Predict the mean label plus a linear ramp in time, which is the mean trend of the clips."""
    labels, times = problem.labels[problem.train], problem.times[problem.train]
    centred_times = times - np.nanmean(times, axis=1, keepdims=True)
    # Clips with one frame each have no trend.
    slope = np.nansum(centred_times * labels) / max(np.nansum(centred_times**2), 1e-12)
    tested = problem.times[problem.test]
    return np.nanmean(labels) + slope * (tested - np.nanmean(tested, axis=1, keepdims=True))


def predict_oracle_mean(problem: Problem) -> np.ndarray:
    """Predict the true mean of each test clip: perfect knowledge of everything but the movement."""
    return problem.hold(np.nanmean(problem.labels[problem.test], axis=1))


def predict_ridge(problem: Problem) -> np.ndarray:
    """Predict the mean of each clip by ridge regression on its pooled features."""
    return problem.hold(_regress(problem, Ridge(), RIDGE_GRID))


def predict_svr(problem: Problem) -> np.ndarray:
    """Predict the mean of each clip by support-vector regression on its pooled features."""
    svr = SVR(gamma="scale", epsilon=0.05)
    return problem.hold(_regress(problem, svr, SVR_GRID))


def check_shuffled_labels(problem: Problem, name: str) -> None:
    """Check that labels that were shuffled among the clips cannot be predicted.

    Parameters
    ----------
    problem : Problem
        Labels, features and division of the clips.
    name : str
        Name of the problem, for the error message.

    Raises
    ------
    EmotraceError
        If ridge regression predicts the shuffled labels of the test clips better than chance,
        although the audio cannot explain them.
    """
    dealt = np.random.default_rng(SHUFFLE_SEED).permutation(np.nanmean(problem.labels, axis=1))
    predicted, truth = _regress(problem, Ridge(), RIDGE_GRID, dealt), dealt[problem.test]
    if len(truth) < 3 or np.ptp(predicted) == 0 or np.ptp(truth) == 0:
        return
    found = pearsonr(predicted, truth, alternative="greater")
    if found.pvalue < LUCK:
        raise EmotraceError(
            f"{name}: shuffled labels were predicted better than by chance (correlation "
            f"{found.statistic:.2f} on the tested clips)",
            hint="what is tested was learnt from: look for mistakes in "
            "emotrace.splits.folds and in the features",
        )


BASELINES: Mapping[str, Callable[[Problem], np.ndarray]] = {
    "Mean": predict_mean,
    "ArtistMean": predict_artist_mean,
    "Ramp": predict_ramp,
    "Ridge": predict_ridge,
    "SVR": predict_svr,
    "OracleMean": predict_oracle_mean,
}


def predict_baselines(
    sequences: Sequences, clips: pd.DataFrame, *, protocol: Protocol
) -> pd.DataFrame:
    """Predict the test clips of each fold by every baseline.

    Parameters
    ----------
    sequences : Sequences
        Features and labels of all clips.
    clips : pandas.DataFrame
        As for `emotrace.splits.folds.make_folds`, and ``genre``.
    protocol : Protocol
        Protocol that divides the clips.

    Returns
    -------
    pandas.DataFrame
        ``baseline``, ``clip_id``, ``time_s``, ``target``, ``fold``, ``prediction``.

    Raises
    ------
    EmotraceError
        If shuffled labels can be predicted.
    """
    pooled = pool_features(sequences)
    clips = clips.set_index("clip_id").loc[sequences.clip_ids].reset_index()
    artists = name_artists(clips).astype(str)
    recordings = number_recordings(clips)
    genres = np.array([fold_spelling(genre) for genre in clips["genre"].fillna("")])
    # The test set of a fold is the same for every seed.
    folds = make_folds(clips, protocol, seed=0)
    times = np.where(sequences.valid, sequences.times, np.nan)
    tables = []
    for fold in folds:
        train, test = _find_rows(sequences, fold)
        for column, target in enumerate(TARGETS):
            labels = np.where(sequences.valid, sequences.labels[..., column], np.nan)
            problem = Problem(
                labels.astype(np.float64), times, pooled, artists, genres, recordings, train, test
            )
            check_shuffled_labels(problem, f"fold {fold.number}, {target}")
            for name, predict in BASELINES.items():
                table = _tabulate(sequences, test, predict(problem))
                tables.append(table.assign(baseline=name, target=target, fold=fold.number))
    columns = ["baseline", "clip_id", "time_s", "target", "fold", "prediction"]
    return pd.concat(tables, ignore_index=True)[columns]


def pool_features(sequences: Sequences) -> np.ndarray:
    """Return mean and standard deviation over the frames of each clip, (clips, 2 features)."""
    return np.stack(list(_pool_clips(sequences)))


def _pool_clips(sequences: Sequences) -> Iterator[np.ndarray]:
    for features, valid in zip(sequences.features, sequences.valid, strict=True):
        frames = features[valid].astype(np.float64)
        yield np.concatenate([frames.mean(axis=0), frames.std(axis=0)]).astype(np.float32)


def _find_rows(sequences: Sequences, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the training and validation clips together, and of the test clips."""
    known = sorted({*fold.training, *fold.validation} - set(fold.test))
    return sequences.find_clips(known), sequences.find_clips(fold.test)


def _regress(
    problem: Problem,
    regression: Any,
    grid: Mapping[str, list[float]],
    labels: np.ndarray | None = None,
) -> np.ndarray:
    """Fit a regression to the mean labels of the clips, or to `labels`; predict the test clips."""
    means = problem.means if labels is None else labels[problem.train]
    recordings = problem.recordings[problem.train]
    if len(np.unique(recordings)) < FEWEST_CLIPS:
        return np.full(len(problem.test), means.mean())
    groups = problem.artists[problem.train]
    _, counts = np.unique(groups, return_counts=True)
    if len(means) - counts.max() < FEWEST_CLIPS:  # One artist has nearly all clips.
        groups = recordings
    n_folds = min(INNER_FOLDS, len(np.unique(groups)))
    with tempfile.TemporaryDirectory() as memory:
        search = GridSearchCV(
            # The cache lets each inner fold be scaled only once for all settings.
            make_pipeline(ClipScaler(), regression, memory=memory),
            dict(grid),
            scoring="neg_mean_squared_error",
            cv=GroupKFold(n_folds),
        )
        search.fit(problem.pooled[problem.train], means, groups=groups)
        return search.predict(problem.pooled[problem.test])


class ClipScaler(TransformerMixin, BaseEstimator):
    """Normalisation of the models, fitted on clips instead of frames."""

    def fit(self, pooled: np.ndarray, labels: object = None) -> ClipScaler:
        """Fit on values of shape ``(clips, values)``."""
        self.normalisation_ = fit_normalisation(pooled, scaling="robust", limit=LIMIT)
        return self

    def transform(self, pooled: np.ndarray) -> np.ndarray:
        """Normalise ``(clips, values)``; return zeros if no value varies."""
        normalised = self.normalisation_.apply(pooled)
        return normalised if normalised.shape[1] else np.zeros((len(pooled), 1))


def _tabulate(sequences: Sequences, rows: np.ndarray, predictions: np.ndarray) -> pd.DataFrame:
    valid = sequences.valid[rows]
    clip_ids = np.array(sequences.clip_ids, dtype=object)[rows]
    return pd.DataFrame(
        {
            "clip_id": np.repeat(clip_ids, valid.sum(axis=1)),
            "time_s": sequences.times[rows][valid],
            "prediction": predictions[valid].astype(np.float32),
        }
    )
