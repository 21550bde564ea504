"""Group clips that must stay together in a fold: those with equal audio or the same artist."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emotrace.splits.feasibility import UNKNOWN, name_artist
from emotrace.splits.labels import SPLITS

AUDIO = ("sha256", "samples_sha256")
"""Columns that identify equal audio: equal files, and files with equal decoded samples."""


def number_recordings(clips: pd.DataFrame) -> np.ndarray:
    """Assign a number to each clip, which only clips with equal audio share.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``sha256`` and ``samples_sha256``.

    Returns
    -------
    numpy.ndarray of int, shape (clips,)
        Number of each clip.
    """
    return _number_groups([clips[column].to_numpy() for column in AUDIO])


def describe_twins(clips: pd.DataFrame) -> list[str]:
    """Describe the clips with equal audio and their splits, in one line per group.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id``, ``split``, ``sha256`` and ``samples_sha256``.
    """
    splits = clips["split"].fillna("").replace("", "no split")
    named = clips["clip_id"] + " (" + splits + ")"
    groups = named.groupby(number_recordings(clips))
    return [f"the same audio: {', '.join(twins)}" for _, twins in groups if len(twins) > 1]


def find_tested_twins(clips: pd.DataFrame) -> np.ndarray:
    """Find the development clips that have the audio of an evaluation clip.

    Returns
    -------
    numpy.ndarray of bool, shape (clips,)
        Whether each clip is one of these.
    """
    recordings = number_recordings(clips)
    development, evaluation = ((clips["split"] == split).to_numpy() for split in SPLITS)
    return development & np.isin(recordings, recordings[evaluation])


def name_artists(clips: pd.DataFrame) -> np.ndarray:
    """Return the name of each clip's artist, shape (clips,).

    Clips by one artist have the same name, however it is spelt. Clips with equal audio have
    the same artist, even if their labels differ. A clip with an unknown artist may be by
    anyone, so it counts as an artist of its own, with a name that begins with
    `emotrace.splits.feasibility.UNKNOWN`.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id``, ``artist``, ``sha256`` and ``samples_sha256``.
    """
    written = clips["artist"].fillna("")
    folded = np.array(list(map(name_artist, written, clips["clip_id"])), dtype=object)
    groups = _number_groups([folded, number_recordings(clips)])
    # Folds depend on the order of the names. If a corpus spells each artist in one way, groups are
    # ordered by the names as written, and not as folded, so its folds stay the same as before.
    plain = np.where(_are_unknown(folded), folded, written.str.strip().str.casefold())
    names: dict[int, str] = {}
    for group, name in zip(groups, plain, strict=True):
        # If at least one of the clips with equal audio names the artist, the artist is known.
        names[group] = min(names.get(group, name), name, key=_put_unknown_last)
    return np.array([names[group] for group in groups], dtype=object)


def find_unknown_artists(clips: pd.DataFrame) -> np.ndarray:
    """Return whether the artist of each clip is unknown, bool of shape (clips,)."""
    return _are_unknown(name_artists(clips))


def _are_unknown(names: np.ndarray) -> np.ndarray:
    return np.array([name.startswith(UNKNOWN) for name in names], dtype=bool)


def _put_unknown_last(name: str) -> tuple[bool, str]:
    return name.startswith(UNKNOWN), name


def _number_groups(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Give the same number to rows that share a value, directly or through other rows."""
    numbers = pd.Series(np.arange(len(columns[0])))
    while True:
        joined = numbers
        for column in columns:
            joined = joined.groupby(column).transform("min")
        if joined.equals(numbers):
            return numbers.to_numpy()
        numbers = joined
