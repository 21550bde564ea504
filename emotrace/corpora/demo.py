"""The built-in demo corpus, which is synthesised from a seed in seconds, without a download.

`emotrace.corpora.demo_music` makes the music and the annotations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emotrace.corpora import manifest
from emotrace.corpora.corpus import BaseCorpus
from emotrace.corpora.demo_names import N_ANNOTATORS, demo_clip_ids, label_clip

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "resources/demo"
"""Folder in which the workflow writes the corpus."""


@dataclass(frozen=True)
class Corpus(BaseCorpus):
    """Corpus of music that emotrace synthesises.

    Parameters
    ----------
    n_clips : int
        Number of clips.
    duration_s : float
        Duration of each clip in seconds.
    seed : int
        Seed of the random generator that draws the music.
    """

    n_clips: int
    duration_s: float
    seed: int

    name = "demo"
    licence = "free of any rights"
    annotators = N_ANNOTATORS
    digests = (f"{FOLDER}/clips.digest",)

    @property
    def tables(self) -> manifest.Corpus:
        """The two CSV files that the workflow writes, as a manifest corpus."""
        return manifest.Corpus(f"{FOLDER}/clips.csv", f"{FOLDER}/annotations.csv")

    def list_sources(self) -> list[str]:
        """List the two CSV files."""
        return [self.tables.clips, self.tables.annotations]

    def list_audio(self) -> list[tuple[str, str, float]]:
        """List ``clip_id``, ``path`` and ``offset_s`` of each clip, once the files exist."""
        return self.tables.list_audio()

    def list_labels(self) -> list[tuple[str, str, str]]:
        """List ``clip_id``, ``artist`` and ``split`` of each clip, before anything is made."""
        ids = demo_clip_ids(self.n_clips)
        return [(clip_id, *label_clip(index, len(ids))) for index, clip_id in enumerate(ids)]

    def read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Read the two CSV files; see `BaseCorpus.read`."""
        return self.tables.read()
