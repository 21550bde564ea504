"""Corpora: each becomes the same two tables, clips and annotations.

A corpus is a module here with a function that reads it, a block in
`emotrace.config`, and a branch in each of the functions below; DEAM and PMEmo
would be the next. This module imports nothing heavy: the workflow asks it what
a corpus is made of while it plans.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotrace.errors import EmotraceError

if TYPE_CHECKING:
    import pandas as pd

DEMO_FOLDER = "resources/demo"
EMOMUSIC_FOLDER = "resources/emomusic/dataset"
"""Where the workflow puts what it synthesises or downloads."""


def list_sources(corpus: Mapping[str, Any]) -> list[str]:
    """Name the files that describe a corpus, all but the audio.

    Parameters
    ----------
    corpus : mapping
        The config's block ``corpus``, defaults filled in.

    Returns
    -------
    list of str
        Inputs of the rule that builds the corpus tables.

    Raises
    ------
    EmotraceError
        If a folder or file that the config names does not exist.
    """
    if corpus["name"] == "demo":
        return [f"{DEMO_FOLDER}/clips.csv", f"{DEMO_FOLDER}/annotations.csv"]
    if corpus["name"] == "emomusic":
        from emotrace.corpus.emomusic import LABEL_FILES

        if corpus["path"] is None:
            return [EMOMUSIC_FOLDER]
        folder = _find_annotations(corpus)
        names = [*LABEL_FILES.values(), "songs_info.csv"]
        return [str(_require(folder / name, "corpus.path")) for name in names]
    return [
        str(_require(Path(corpus[key]).expanduser(), f"corpus.{key}"))
        for key in ("clips", "annotations")
    ]


def list_clip_ids(corpus: Mapping[str, Any]) -> list[str] | None:
    """List the clips of a corpus before it is read, or None if it is yet to be downloaded."""
    if corpus["name"] == "demo":
        from emotrace.corpus.demo import demo_clip_ids

        return demo_clip_ids(corpus["n_clips"])
    if corpus["name"] == "emomusic":
        from emotrace.corpus import emomusic

        if corpus["path"] is None:
            return None
        folder = Path(corpus["path"]).expanduser()
        return emomusic.list_clip_ids(folder, annotations=_find_annotations(corpus))
    from emotrace.corpus import manifest

    return manifest.list_clip_ids(Path(corpus["clips"]).expanduser())


def read_corpus(corpus: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a corpus as it describes itself, before its files are looked at.

    Parameters
    ----------
    corpus : mapping
        The config's block ``corpus``, defaults filled in.

    Returns
    -------
    clips : pandas.DataFrame
        ``clip_id``, ``path``, ``offset_s``, ``split``, ``artist``, ``title``, ``genre``.
    annotations : pandas.DataFrame
        ``clip_id``, ``time_s``, ``arousal``, ``arousal_std``, ``valence``, ``valence_std``.
    """
    from emotrace.corpus import emomusic, manifest

    if corpus["name"] == "demo":
        return manifest.read_manifest(
            Path(DEMO_FOLDER, "clips.csv"), Path(DEMO_FOLDER, "annotations.csv")
        )
    if corpus["name"] == "emomusic":
        if corpus["path"] is None:
            return emomusic.read_emomusic(Path(EMOMUSIC_FOLDER))
        return emomusic.read_emomusic(
            Path(corpus["path"]).expanduser(),
            annotations=_find_annotations(corpus),
            offset_s=corpus["offset_s"],
        )
    return manifest.read_manifest(
        Path(corpus["clips"]).expanduser(),
        Path(corpus["annotations"]).expanduser(),
        annotation_scale=tuple(corpus["annotation_scale"]),
    )


def digest_audio_listing(corpus: Mapping[str, Any]) -> str:
    """Digest the names and sizes of a corpus's audio files.

    Cheap enough for planning, and blind to `touch`, a fresh copy or a checkout.
    """
    if corpus["name"] == "emomusic" and corpus["path"] is not None:
        paths = list(Path(corpus["path"]).expanduser().glob("clips*/*.mp3"))
    elif corpus["name"] == "manifest":
        from emotrace.corpus.text_table import read_text_table

        table = read_text_table(Path(corpus["clips"]).expanduser())
        paths = [table.path.parent / path for path in table.read_texts("path")]
    else:
        return "made by the workflow"
    listing = sorted((path.name, path.stat().st_size if path.exists() else -1) for path in paths)
    return hashlib.sha256(repr(listing).encode()).hexdigest()[:12]


def _find_annotations(corpus: Mapping[str, Any]) -> Path:
    if corpus["annotations"] is not None:
        return _require(Path(corpus["annotations"]).expanduser(), "corpus.annotations")
    folder = _require(Path(corpus["path"]).expanduser(), "corpus.path")
    return _require(folder / "annotations", "corpus.annotations")


def _require(path: Path, key: str) -> Path:
    if not path.exists():
        raise EmotraceError(
            f"{key}: there is no {path.absolute()}",
            hint="relative paths start at the working directory of the run (--directory)",
        )
    return path
