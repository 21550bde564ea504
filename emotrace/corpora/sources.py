"""What a corpus is made of, whichever it is; a branch for each in the functions below.

This module imports nothing heavy: the workflow asks it while it plans.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotrace.reruns.digests import digest_files
from emotrace.runtime.errors import EmotraceError, hide_passwords

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

    Raises
    ------
    EmotraceError
        If a folder or file that the config names does not exist.
    """
    if corpus["name"] == "demo":
        return [f"{DEMO_FOLDER}/clips.csv", f"{DEMO_FOLDER}/annotations.csv"]
    if corpus["name"] == "emomusic":
        from emotrace.corpora.emomusic import LABEL_FILES

        if corpus["path"] is None:
            return [EMOMUSIC_FOLDER]
        folder = _find_annotations(corpus)
        names = [*LABEL_FILES.values(), "songs_info.csv"]
        return [str(_require(folder / name, "corpus.path")) for name in names]
    return [
        str(_require(Path(corpus[key]).expanduser(), f"corpus.{key}"))
        for key in ("clips", "annotations")
    ]


def list_inputs(corpus: Mapping[str, Any]) -> list[str]:
    """Name those files of `list_sources` that the workflow makes.

    A user's own are no inputs of a rule: `digest_sources` tells when they change, and
    Snakemake ends each job of which an input is dated later than its output, as files of a
    server with a wrong clock can be. It would also take braces in their paths for
    wildcards.
    """
    sources = list_sources(corpus)
    return sources if is_made_by_workflow(corpus) else []


def measure_own_sources(corpus: Mapping[str, Any]) -> float:
    """Return the size in MB of the files that describe a corpus and are no inputs of a rule."""
    if is_made_by_workflow(corpus):
        return 0.0
    return sum(os.path.getsize(path) for path in list_sources(corpus)) / 1e6


def list_digests(corpus: Mapping[str, Any]) -> list[str]:
    """Name the digest of a corpus that the workflow makes; a user's own has none."""
    if corpus["name"] == "demo":
        return [f"{DEMO_FOLDER}/clips.digest"]
    return [f"{EMOMUSIC_FOLDER}.digest"] if is_made_by_workflow(corpus) else []


def is_made_by_workflow(corpus: Mapping[str, Any]) -> bool:
    """Say whether the corpus is synthesised or downloaded, and not the user's own files."""
    return corpus["name"] == "demo" or corpus.get("path", "") is None


def select_audio_settings(corpus: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of the config's block ``corpus`` what decides which audio there is."""
    keys = {
        "demo": ("n_clips", "duration_s", "seed"),
        "emomusic": ("path", "annotations", "offset_s"),
        "manifest": ("clips",),
    }
    name = corpus["name"]
    return {"name": name, **{key: corpus[key] for key in keys[name]}}


def select_table_settings(corpus: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of the config's block ``corpus`` what decides the corpus's tables."""
    return {key: value for key, value in corpus.items() if key not in ("annotators", "url")}


def name_server(corpus: Mapping[str, Any]) -> str | None:
    """Say where the corpus is downloaded from, without the password that may stand there."""
    url = corpus.get("url")
    return url and hide_passwords(url)


def digest_sources(corpus: Mapping[str, Any]) -> str:
    """Digest the content of the files that describe a corpus, where they are the user's own."""
    if is_made_by_workflow(corpus):
        return "made by the workflow"
    return digest_files(*list_sources(corpus))


def count_annotators(corpus: Mapping[str, Any]) -> int | None:
    """Say how many people annotated each clip of a corpus, or None if that is not known."""
    if corpus["name"] == "demo":
        from emotrace.corpora.demo import N_ANNOTATORS

        return N_ANNOTATORS
    if corpus["name"] == "emomusic":
        from emotrace.corpora.emomusic import N_ANNOTATORS

        return N_ANNOTATORS
    return corpus["annotators"]


def list_clip_ids(corpus: Mapping[str, Any]) -> list[str] | None:
    """List the clips of a corpus before it is read, or None if it is yet to be downloaded."""
    if corpus["name"] == "demo":
        from emotrace.corpora.demo import demo_clip_ids

        return demo_clip_ids(corpus["n_clips"])
    if is_made_by_workflow(corpus):
        return None
    return [clip_id for clip_id, _, _ in list_audio(corpus)]


def list_labels(corpus: Mapping[str, Any]) -> list[tuple[str, str, str]] | None:
    """List ``clip_id``, ``artist`` and ``split`` of each clip, where the corpus is the user's own.

    None if the workflow is yet to make it. Imports nothing heavy.
    """
    from emotrace.corpora import emomusic, manifest

    if is_made_by_workflow(corpus):
        return None
    if corpus["name"] == "emomusic":
        where = _locate_emomusic(corpus)
        return emomusic.list_labels(where["folder"], annotations=where["annotations"])
    return manifest.list_labels(_locate_table(corpus, "clips"))


def list_audio(corpus: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """List a corpus's audio without importing anything heavy: ``clip_id``, ``path``, ``offset_s``.

    Parameters
    ----------
    corpus : mapping
        The config's block ``corpus``, defaults filled in.

    Returns
    -------
    list of tuple
        In the order of `read_corpus`; the files themselves are not looked at.
    """
    from emotrace.corpora import emomusic, manifest

    if corpus["name"] == "emomusic":
        return emomusic.list_audio(**_locate_emomusic(corpus))
    return manifest.list_audio(_locate_table(corpus, "clips"))


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
    from emotrace.corpora import emomusic, manifest

    if corpus["name"] == "emomusic":
        return emomusic.read_emomusic(**_locate_emomusic(corpus))
    return manifest.read_manifest(
        _locate_table(corpus, "clips"),
        _locate_table(corpus, "annotations"),
        annotation_scale=tuple(corpus.get("annotation_scale", (-1.0, 1.0))),
    )


def _locate_emomusic(corpus: Mapping[str, Any]) -> dict[str, Any]:
    if corpus["path"] is None:
        return {"folder": Path(EMOMUSIC_FOLDER)}
    return {
        "folder": Path(corpus["path"]).expanduser(),
        "annotations": _find_annotations(corpus),
        "offset_s": corpus["offset_s"],
    }


def _locate_table(corpus: Mapping[str, Any], key: str) -> Path:
    if corpus["name"] == "demo":
        return Path(DEMO_FOLDER, f"{key}.csv")
    return Path(corpus[key]).expanduser()


def _find_annotations(corpus: Mapping[str, Any]) -> Path:
    if corpus["annotations"] is not None:
        folder = Path(corpus["annotations"]).expanduser()
        return _require(folder, "corpus.annotations", is_folder=True)
    folder = _require(Path(corpus["path"]).expanduser(), "corpus.path", is_folder=True)
    return _require(folder / "annotations", "corpus.annotations", is_folder=True)


def _require(path: Path, key: str, *, is_folder: bool = False) -> Path:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise EmotraceError(
            f"{key}: there is no {path.absolute()}",
            hint="relative paths start at the working directory of the run (--directory)",
        ) from None
    except OSError as error:
        raise EmotraceError(
            f"{key}: {path.absolute()} cannot be read ({error.strerror})",
            hint="check the path in the config",
        ) from None
    # A pipe or a device would keep the run waiting for ever.
    if not (stat.S_ISDIR(mode) if is_folder else stat.S_ISREG(mode)):
        raise EmotraceError(
            f"{key}: {path.absolute()} is not a {'folder' if is_folder else 'file'}",
            hint="check the path in the config",
        )
    if not os.access(path, os.R_OK):
        raise EmotraceError(
            f"{key}: {path.absolute()} may not be read",
            hint="let its owner give you the right to read it",
        )
    return path
