"""Divide the clips of a corpus into folds of training, validation and test sets."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotrace import TARGETS
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.feasibility import check_artists, check_feasibility
from emotrace.splits.groups import (
    find_tested_twins,
    find_unknown_artists,
    name_artists,
    number_recordings,
)
from emotrace.splits.labels import SPLITS
from emotrace.splits.protocol import Protocol

PARTITION_SEED = 584
"""Seed of the test sets; the same for all models and seeds, so that they use equal clips."""

LEAST_RANGE = 1e-6
"""Labels whose range is smaller than this count as constant."""


@dataclass(frozen=True)
class Fold:
    """One division of the clips into three sets, which do not overlap.

    The exception is the protocol ``paper``, in which `validation` is `test`, as published.
    """

    number: int
    training: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def make_folds(clips: pd.DataFrame, protocol: Protocol, *, seed: int) -> list[Fold]:
    """Divide the clips according to a protocol; clips with equal audio always stay together.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id``, ``artist``, ``split``, ``sha256`` and ``samples_sha256``.
    protocol : Protocol
        ``official``: one fold, trained on the development clips and tested on the evaluation
        clips; development clips with the audio of an evaluation clip are left out. ``artist``:
        folds in which no artist is in more than one set. ``paper``: random folds; the test set
        is also the validation set.
    seed : int
        Seed of the validation set; the test sets are the same for every seed.

    Returns
    -------
    list of Fold
        One fold for ``official``, otherwise as many as the protocol says.

    Raises
    ------
    EmotraceError
        If the corpus lacks the splits, clips or artists that the protocol needs.

    Examples
    --------
    >>> names = [f"clip {number}" for number in range(6)]
    >>> clips = pd.DataFrame({"clip_id": names, "sha256": names, "samples_sha256": names})
    >>> clips["artist"] = ["Ana", "Ana", "Ben", "Ben", "Eva", "Eva"]
    >>> clips["split"] = ""
    >>> folds = make_folds(clips, Protocol("artist", folds=3), seed=1)
    >>> sorted(fold.test for fold in folds)
    [('clip 0', 'clip 1'), ('clip 2', 'clip 3'), ('clip 4', 'clip 5')]
    """
    clips = clips.sort_values("clip_id").reset_index(drop=True)
    recordings = number_recordings(clips)
    check_feasibility(
        protocol.name,
        protocol.folds,
        artists=list(name_artists(clips)),
        splits=list(clips["split"].fillna("")),
        n_recordings=len(np.unique(recordings)),
    )
    if protocol.name == "official":
        clips = _keep_split_clips(clips)
    artists = name_artists(clips)
    if protocol.name == "official":
        tests = [np.flatnonzero(clips["split"] == "evaluation")]
    elif protocol.name == "artist":
        tests = _divide_groups(artists, protocol.folds)
    else:
        tests = _divide_recordings(recordings, protocol.folds)
    folds = []
    for number, test in enumerate(tests):
        training = np.setdiff1d(np.arange(len(clips)), test)
        if protocol.name == "paper":
            validation = test
        else:
            generator = np.random.default_rng([PARTITION_SEED, seed, number])
            share = protocol.validation_fraction
            validation = _draw_artists(artists, training, share, generator)
        rest = np.setdiff1d(training, validation)
        parts = (tuple(clips["clip_id"].iloc[part]) for part in (rest, validation, test))
        folds.append(Fold(number, *parts))
    check_overlaps(clips, folds, protocol.name)
    return folds


def find_known(clips: pd.DataFrame, folds: Sequence[Fold]) -> pd.Series:
    """Find out for each test clip whether a clip by the same artist is available for training.

    Parameters
    ----------
    clips : pandas.DataFrame
        As for `make_folds`.
    folds : sequence of Fold
        Folds of these clips.

    Returns
    -------
    pandas.Series of bool, indexed by ``clip_id``
        Whether the artist of each test clip is known from training or validation clips.
    """
    artists = pd.Series(name_artists(clips), index=clips["clip_id"].to_numpy())
    known = {}
    for fold in folds:
        learnt = {*fold.training, *fold.validation} - {*fold.test}
        heard = set(artists[sorted(learnt)])
        known |= {clip_id: artists[clip_id] in heard for clip_id in fold.test}
    return pd.Series(known, dtype=bool)


def check_overlaps(clips: pd.DataFrame, folds: Sequence[Fold], protocol: str) -> None:
    """Check that the training, validation and test sets of each fold do not overlap.

    Parameters
    ----------
    clips : pandas.DataFrame
        As for `make_folds`.
    folds : sequence of Fold
        Folds of these clips.
    protocol : str
        In ``artist``, the sets must have no artist in common; in ``paper``, the validation
        set may be the test set.

    Raises
    ------
    EmotraceError
        If two sets contain the same clip, clips with equal audio, or clips by the same artist
        although the protocol separates artists. The error names the clips.
    """
    recordings = dict(zip(clips["clip_id"], number_recordings(clips), strict=True))
    artists = dict(zip(clips["clip_id"], name_artists(clips), strict=True))
    for fold in folds:
        train, test = ("trained on", fold.training), ("tested on", fold.test)
        stop = ("stopped by", fold.validation)
        pairs = [(train, stop), (train, test)] + ([] if protocol == "paper" else [(stop, test)])
        by_artist = {"official": [(train, stop)], "artist": pairs, "paper": []}
        for one, other in pairs:
            _refuse_shared(fold, recordings, "has the same audio", one, other)
        for one, other in by_artist[protocol]:
            _refuse_shared(fold, artists, "is by the same artist", one, other)


def check_labels_vary(folds: Sequence[Fold], annotations: pd.DataFrame) -> None:
    """Check that the labels of each target vary where they are learnt and where they are scored.

    Scores are pooled over all folds, so the labels of a single test set may be constant.

    Parameters
    ----------
    folds : sequence of Fold
        Folds of the corpus.
    annotations : pandas.DataFrame
        Annotations of the corpus.

    Raises
    ------
    EmotraceError
        If they do not. The error names the target, its value and the clips.
    """
    extremes = annotations.groupby("clip_id")[list(TARGETS)].agg(["min", "max"])
    parts = {"tested clips": {clip_id for fold in folds for clip_id in fold.test}}
    for fold in folds:
        learnt = {*fold.training, *fold.validation} - {*fold.test}
        parts[f"training clips of fold {fold.number}"] = learnt
    for what, clip_ids in parts.items():
        found = extremes.loc[sorted(clip_ids)]
        for target in TARGETS:
            low, high = found[target, "min"].min(), found[target, "max"].max()
            if high - low <= LEAST_RANGE:
                raise EmotraceError(
                    f"annotations: {target} is {low:g} at every frame of the {what} "
                    f"({len(clip_ids)}), so that no R2 can say how well it is predicted",
                    hint="look at these clips' annotations, or divide the clips otherwise "
                    "(protocol, or the column split)",
                )


def describe_division(clips: pd.DataFrame, protocol: str) -> list[str]:
    """Describe which clips a protocol leaves out, and what is unknown about the others.

    Parameters
    ----------
    clips : pandas.DataFrame
        As for `make_folds`.
    protocol : {"official", "artist", "paper"}
        Name of the protocol.

    Returns
    -------
    list of str
        Sentences; empty if there is nothing to report.
    """
    counts = {}
    if protocol == "official":
        counts["Clips of no split, which take no part"] = (~clips["split"].isin(SPLITS)).sum()
        counts[
            "Development clips with the same audio as an evaluation clip, which are not learnt from"
        ] = find_tested_twins(clips).sum()
    if protocol != "paper":
        counts["Clips whose artist is not known, each of which counts as an artist of its own"] = (
            find_unknown_artists(clips).sum()
        )
    return [f"{what}: {count} of {len(clips)}." for what, count in counts.items() if count]


def _refuse_shared(
    fold: Fold,
    groups: Mapping[str, Hashable],
    how: str,
    one: tuple[str, Sequence[str]],
    other: tuple[str, Sequence[str]],
) -> None:
    """Raise an error if two sets of a fold contain clips of the same group."""
    (done, part), (other_done, other_part) = one, other
    owners = {groups[clip_id]: clip_id for clip_id in part}
    for clip_id in other_part:
        owner = owners.get(groups[clip_id])
        if owner is not None:
            what = "it" if owner == clip_id else f"clip {clip_id}, which {how}"
            raise EmotraceError(
                f"fold {fold.number}: models are {done} clip {owner} and {other_done} {what}",
                hint="this is a mistake in emotrace.splits.folds; please report it",
            )


def _keep_split_clips(clips: pd.DataFrame) -> pd.DataFrame:
    """Leave out clips without a split, since nobody has said that they may be used.

    If a development clip and an evaluation clip have equal audio, the evaluation clip stays:
    scores on a published split are comparable only if all evaluation clips are scored.
    """
    clips = clips[clips["split"].isin(SPLITS)]
    return clips[~find_tested_twins(clips)].reset_index(drop=True)


def _divide_recordings(recordings: np.ndarray, n_folds: int) -> list[np.ndarray]:
    """Divide the clips at random, with about the same number of recordings in each fold."""
    numbers = np.unique(recordings)
    order = np.random.default_rng(PARTITION_SEED).permutation(len(numbers))
    parts = np.array_split(order, n_folds)
    return [np.flatnonzero(np.isin(recordings, numbers[part])) for part in parts]


def _divide_groups(artists: np.ndarray, n_folds: int) -> list[np.ndarray]:
    """Assign each artist, those with most clips first, to the fold with the fewest clips."""
    names, counts = np.unique(artists.astype(str), return_counts=True)
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
    """Draw whole artists until they have at least `share` of the candidates."""
    groups = artists[candidates].astype(str)
    check_artists(list(groups))
    names, counts = np.unique(groups, return_counts=True)
    n_clips = dict(zip(names, counts, strict=True))
    names = generator.permutation(names)
    shares = np.cumsum([n_clips[name] for name in names]) / len(groups)
    n_drawn = min(int(np.searchsorted(shares, share)) + 1, len(names) - 1)
    return np.asarray(candidates)[np.isin(groups, names[:n_drawn])]
