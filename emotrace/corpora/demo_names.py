"""Ids, artists and splits of the clips of a demo corpus, known before there is any music.

The demo corpus and its music both import this module, so that neither depends on the other.
"""

from __future__ import annotations

from math import prod

from emotrace.runtime.errors import EmotraceError

N_ANNOTATORS = 10
CLIPS_PER_ARTIST = 3
LEAST_CLIPS = 4

ARTISTS = (
    ("Amber", "Copper", "Distant", "Velvet", "Northern", "Paper", "Quiet", "Seventh", "Wandering",
     "Hollow", "Marble", "Salt"),
    ("Harbour", "Orchard", "Lanterns", "Meridian", "Foxes", "Cartographers", "Parade", "Engine",
     "Sparrows", "Observatory", "Tides"),
)  # fmt: skip


def demo_clip_ids(n_clips: int) -> list[str]:
    """Return the ids of the clips of a demo corpus, in order.

    Parameters
    ----------
    n_clips : int
        Number of clips, at least 4.

    Returns
    -------
    list of str
        "demo_01", "demo_02" and so on, padded with zeros to equal length.

    Raises
    ------
    EmotraceError
        If there are fewer than 4 clips, which are too few for two splits.
    """
    if n_clips < LEAST_CLIPS:
        raise EmotraceError(
            f"a demo corpus of {n_clips} clips was asked for, expected at least {LEAST_CLIPS}",
            hint="raise the number of clips; 48 is the default",
        )
    width = max(2, len(str(n_clips)))
    return [f"demo_{number:0{width}d}" for number in range(1, n_clips + 1)]


def count_artists(n_clips: int) -> int:
    """Return the number of artists of a demo corpus; they take turns in the order of the clips."""
    return min(max(LEAST_CLIPS, round(n_clips / CLIPS_PER_ARTIST)), prod(map(len, ARTISTS)))


def label_clip(index: int, n_clips: int) -> tuple[str, str]:
    """Return the artist and the split of the clip with the given index."""
    n_artists = count_artists(n_clips)
    album, artist = divmod(index, n_artists)
    # Every fourth artist is in the evaluation split. In a larger corpus, one of their clips and one
    # clip of another artist swap splits, since in real corpora some artists are in both.
    held_out = artist % 4 == 3
    if n_artists >= 8 and album == 0 and artist in (3, 4):
        held_out = not held_out
    first, second = ARTISTS
    name = f"{first[artist % len(first)]} {second[artist % len(second)]}"
    return name, "evaluation" if held_out else "development"
