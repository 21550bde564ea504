"""Check whether a protocol can divide a corpus; imports no large libraries, for planning."""

from __future__ import annotations

from collections.abc import Sequence

from emotrace.runtime.errors import EmotraceError
from emotrace.splits.labels import SPLITS
from emotrace.splits.spelling import fold_spelling

UNKNOWN = "\0"
"""Prefix of the names of unknown artists; no real name begins with it."""


def name_artist(artist: str, clip_id: str) -> str:
    """Return the name of a clip's artist, which is the same for all spellings of it.

    A clip without an artist may be by anyone, so it counts as an artist of its own.
    """
    return fold_spelling(artist) or UNKNOWN + clip_id


def check_feasibility(
    protocol: str,
    n_folds: int,
    *,
    artists: Sequence[str],
    splits: Sequence[str],
    n_recordings: int,
) -> None:
    """Check that a protocol can divide a corpus.

    Parameters
    ----------
    protocol : {"official", "artist", "paper"}
        Name of the protocol.
    n_folds : int
        Number of folds; not used by ``official``.
    artists : sequence of str
        Artist of each clip; unknown ones begin with `UNKNOWN`.
    splits : sequence of str
        Split of each clip; "" for a clip without a split.
    n_recordings : int
        Number of clips, with clips of equal audio counted once.

    Raises
    ------
    EmotraceError
        If it cannot. The error names the config key, what the corpus has and what it lacks.
    """
    if protocol == "official":
        _refuse_missing_split(splits)
        pairs = zip(artists, splits, strict=True)
        check_artists([artist for artist, split in pairs if split == SPLITS[0]])
    elif protocol == "artist":
        _refuse_unknown_artists(artists)
        _refuse_many_folds(n_folds, len(set(artists)), "artists")
    else:
        same = "" if n_recordings == len(artists) else ", equal audio counted once"
        _refuse_many_folds(n_folds, n_recordings, f"clips{same}")


def check_artists(artists: Sequence[str]) -> None:
    """Check that whole artists can be moved from the training clips to the validation set.

    Parameters
    ----------
    artists : sequence of str
        Artist of each training clip; empty if all clips have the audio of a test clip.
    """
    if len(set(artists)) < 2:
        which = "are all by one artist" if artists else "all have the same audio as a tested clip"
        raise EmotraceError(
            f"protocol: the training clips {which}, so no part of them can be kept apart to stop "
            "the training",
            hint="fill the column artist of the clips, or set protocol.name to paper",
        )


def _refuse_missing_split(splits: Sequence[str]) -> None:
    found = set(splits) - {""}
    if not set(SPLITS) <= found:
        raise EmotraceError(
            "protocol.name: official needs clips of the splits 'development' and 'evaluation', "
            f"but the corpus has {', '.join(sorted(map(repr, found))) or 'no splits'}",
            hint="fill the column split of the clips, or set protocol.name to artist",
        )


def _refuse_unknown_artists(artists: Sequence[str]) -> None:
    if all(artist.startswith(UNKNOWN) for artist in artists):
        raise EmotraceError(
            "protocol.name: artist keeps each artist on one side of a fold, but none of the "
            f"{len(artists)} clips has an artist",
            hint="fill the column artist of the clips, or set protocol.name to paper, which draws "
            "folds at random",
        )


def _refuse_many_folds(n_folds: int, n: int, what: str) -> None:
    if n < n_folds:
        raise EmotraceError(
            f"protocol.folds: {n_folds} folds cannot be made of {n} {what}",
            hint="ask for fewer folds"
            + (", or fill the column artist of the clips" if what == "artists" else ""),
        )
