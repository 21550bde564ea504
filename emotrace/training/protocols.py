"""Which clips a model is fitted on, stopped by, and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotrace.errors import EmotraceError

SPLITS = ("development", "evaluation")
"""What the protocol ``official`` trains on, and what it tests."""

PARTITION_SEED = 584
"""Draws the folds; the same for all models and seeds, so that they are compared on equal clips."""


@dataclass(frozen=True)
class Fold:
    """One way of dividing the clips; the three parts do not overlap.

    Except in the protocol ``paper``, where `validation` is `test`, as published.
    """

    number: int
    fit: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def make_folds(
    clips: pd.DataFrame, *, protocol: str, n_folds: int, validation_share: float, seed: int
) -> list[Fold]:
    """Divide the clips as a protocol demands.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id``, ``artist`` and ``split``.
    protocol : {"official", "artist", "paper"}
        ``official``: one fold, trained on the development clips and tested on the
        evaluation clips. ``artist``: `n_folds` folds with no artist on both sides.
        ``paper``: `n_folds` random folds; the tested fold also stops the training.
    n_folds : int
        Not used by ``official``.
    validation_share : float
        Share of the training clips, artist-disjoint from the rest, that stops the
        training and selects models. Not used by ``paper``.
    seed : int
        Draws the validation part; the tested folds are the same for every seed.

    Returns
    -------
    list of Fold

    Raises
    ------
    EmotraceError
        If the corpus lacks the splits, clips or artists that the protocol needs.
    """
    clips = clips.sort_values("clip_id").reset_index(drop=True)
    if protocol == "official":
        clips = _keep_split_clips(clips)
    artists = name_artists(clips)
    if protocol == "official":
        tests = [np.flatnonzero(clips["split"] == "evaluation")]
    elif protocol == "artist":
        tests = _divide_groups(artists, n_folds)
    else:
        tests = _divide_clips(len(clips), n_folds)
    folds = []
    for number, test in enumerate(tests):
        training = np.setdiff1d(np.arange(len(clips)), test)
        if protocol == "paper":
            validation = test
        else:
            generator = np.random.default_rng([PARTITION_SEED, seed, number])
            validation = _draw_artists(artists, training, validation_share, generator)
        fit = np.setdiff1d(training, validation)
        parts = (tuple(clips["clip_id"].iloc[part]) for part in (fit, validation, test))
        folds.append(Fold(number, *parts))
    refuse_overlaps(clips, folds, protocol)
    return folds


def name_artists(clips: pd.DataFrame) -> np.ndarray:
    """Name each clip's artist, however it is written, shape (clips,)."""
    # A clip without an artist may be by anyone, so it counts as an artist of its own.
    artists = clips["artist"].fillna("").str.strip().str.casefold()
    return artists.where(artists != "", "\0" + clips["clip_id"]).to_numpy(dtype=object)


def find_known(clips: pd.DataFrame, folds: Sequence[Fold]) -> pd.Series:
    """Tell of each tested clip whether a clip that could be learnt from is by the same artist.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id`` and ``artist``.
    folds : sequence of Fold

    Returns
    -------
    pandas.Series of bool, indexed by ``clip_id``
    """
    artists = pd.Series(name_artists(clips), index=clips["clip_id"].to_numpy())
    known = {}
    for fold in folds:
        learnt = {*fold.fit, *fold.validation} - {*fold.test}
        heard = set(artists[sorted(learnt)])
        known |= {clip_id: artists[clip_id] in heard for clip_id in fold.test}
    return pd.Series(known, dtype=bool)


def refuse_overlaps(clips: pd.DataFrame, folds: Sequence[Fold], protocol: str) -> None:
    """Refuse folds that test what they learn from.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id`` and ``artist``.
    folds : sequence of Fold
    protocol : str
        ``artist`` allows no artist on both sides; ``paper`` stops by what it tests.

    Raises
    ------
    EmotraceError
        Naming the clip or artist on both sides.
    """
    for fold in folds:
        sides = {"fitted on": fold.fit, "stopped by": fold.validation}
        for what, side in sides.items():
            shared = sorted({*side} & {*fold.test})
            if shared and not (protocol == "paper" and what == "stopped by"):
                raise EmotraceError(
                    f"fold {fold.number}: models are {what} clip {shared[0]} and tested on it",
                    hint="this is a mistake in emotrace.training.protocols; please report it",
                )
    known = find_known(clips, folds)
    if protocol == "artist" and known.any():
        raise EmotraceError(
            f"clip {known.idxmax()}: its artist is among the tested and among the training clips",
            hint="this is a mistake in emotrace.training.protocols; please report it",
        )


def _keep_split_clips(clips: pd.DataFrame) -> pd.DataFrame:
    """Leave out clips of no split: no one said that they may be trained on."""
    found = set(clips["split"].dropna())
    if not set(SPLITS) <= found:
        raise EmotraceError(
            "protocol.name: official needs clips of the splits 'development' and 'evaluation', "
            f"but the corpus has {', '.join(sorted(map(repr, found))) or 'no splits'}",
            hint="fill the column split of the clips, or set protocol.name to artist",
        )
    return clips[clips["split"].isin(SPLITS)].reset_index(drop=True)


def _divide_clips(n_clips: int, n_folds: int) -> list[np.ndarray]:
    if n_clips < n_folds:
        raise EmotraceError(
            f"protocol.folds: {n_folds} folds cannot be made of {n_clips} clips",
            hint="ask for fewer folds",
        )
    order = np.random.default_rng(PARTITION_SEED).permutation(n_clips)
    return [np.sort(part) for part in np.array_split(order, n_folds)]


def _divide_groups(artists: np.ndarray, n_folds: int) -> list[np.ndarray]:
    """Give each artist, the most prolific first, to the fold with the fewest clips."""
    names, counts = np.unique(artists.astype(str), return_counts=True)
    if len(names) < n_folds:
        raise EmotraceError(
            f"protocol.folds: {n_folds} folds cannot be made of {len(names)} artists",
            hint="ask for fewer folds, or fill the column artist of the clips",
        )
    order = np.random.default_rng(PARTITION_SEED).permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    sizes = np.zeros(n_folds, dtype=int)
    fold_of_artist = {}
    for artist in order:
        fold = int(np.argmin(sizes))
        fold_of_artist[names[artist]] = fold
        sizes[fold] += counts[artist]
    fold_of_clip = np.array([fold_of_artist[artist] for artist in artists])
    return [np.flatnonzero(fold_of_clip == fold) for fold in range(n_folds)]


def _draw_artists(
    artists: np.ndarray,
    candidates: Sequence[int],
    share: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw whole artists until they own at least `share` of the candidates."""
    groups = artists[candidates].astype(str)
    names = generator.permutation(np.unique(groups))
    if len(names) < 2:
        raise EmotraceError(
            "protocol: the training clips are all by one artist, so no part of them can "
            "be kept apart to stop the training",
            hint="fill the column artist of the clips, or set protocol.name to paper",
        )
    drawn: list[str] = []
    while np.isin(groups, drawn).mean() < share and len(drawn) < len(names) - 1:
        drawn.append(names[len(drawn)])
    return np.asarray(candidates)[np.isin(groups, drawn)]
