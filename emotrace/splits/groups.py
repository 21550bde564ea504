"""Clips that belong on one side of a fold: those with equal audio, those by one artist."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emotrace.splits.feasibility import UNKNOWN, name_artist
from emotrace.splits.labels import SPLITS

AUDIO = ("sha256", "samples_sha256")
"""Columns of which each tells equal audio: equal files, and files that decode to equal samples."""


def number_recordings(clips: pd.DataFrame) -> np.ndarray:
    """Give each clip a number, shape (clips,), that only clips with equal audio share.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``sha256`` and ``samples_sha256``.
    """
    return _number_groups([clips[column].to_numpy() for column in AUDIO])


def describe_twins(clips: pd.DataFrame) -> list[str]:
    """Name the clips with equal audio and their splits, a line for each group of them.

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
    """Tell of each clip whether it is for development and has the audio of an evaluation clip.

    Returns
    -------
    numpy.ndarray of bool, shape (clips,)
    """
    recordings = number_recordings(clips)
    development, evaluation = ((clips["split"] == split).to_numpy() for split in SPLITS)
    return development & np.isin(recordings, recordings[evaluation])


def name_artists(clips: pd.DataFrame) -> np.ndarray:
    """Name each clip's artist, shape (clips,).

    Clips by one artist have the same name, however it is spelt, and clips with equal
    audio are by one artist, whatever they say. A clip whose artist is not known may be
    by anyone, so it counts as an artist of its own, whose name begins with
    `emotrace.splits.feasibility.UNKNOWN`.

    Parameters
    ----------
    clips : pandas.DataFrame
        With ``clip_id``, ``artist``, ``sha256`` and ``samples_sha256``.
    """
    written = clips["artist"].fillna("")
    folded = np.array(list(map(name_artist, written, clips["clip_id"])), dtype=object)
    groups = _number_groups([folded, number_recordings(clips)])
    # Folds depend on the order of the names. A corpus that writes each artist in one way keeps the
    # folds that it always had, because its groups are named as written and not as folded.
    plain = np.where(_are_unknown(folded), folded, written.str.strip().str.casefold())
    names: dict[int, str] = {}
    for group, name in zip(groups, plain, strict=True):
        # If one of several clips with equal audio names the artist, the artist is known.
        names[group] = min(names.get(group, name), name, key=_put_unknown_last)
    return np.array([names[group] for group in groups], dtype=object)


def find_unknown_artists(clips: pd.DataFrame) -> np.ndarray:
    """Tell of each clip whether nobody says by whom it is, bool of shape (clips,)."""
    return _are_unknown(name_artists(clips))


def _are_unknown(names: np.ndarray) -> np.ndarray:
    return np.array([name.startswith(UNKNOWN) for name in names], dtype=bool)


def _put_unknown_last(name: str) -> tuple[bool, str]:
    return name.startswith(UNKNOWN), name


def _number_groups(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Give the same number to rows that agree in a column, directly or through other rows."""
    numbers = pd.Series(np.arange(len(columns[0])))
    while True:
        joined = numbers
        for column in columns:
            joined = joined.groupby(column).transform("min")
        if joined.equals(numbers):
            return numbers.to_numpy()
        numbers = joined
