"""The table of a corpus's audio files, ``results/corpus/files.csv``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from emotrace.reruns.checksums import REMAKE, DamagedError
from emotrace.reruns.digests import digest_tables
from emotrace.runtime.errors import EmotraceError

if TYPE_CHECKING:
    import pandas as pd

FILES = Path("results/corpus/files.csv")
"""Every audio file, and what it turned out to be."""


def read_files(path: str | Path) -> pd.DataFrame:
    """Read what inspecting the audio left: one row per file, in the order of the corpus.

    Raises
    ------
    EmotraceError
        If a checksum is malformed: it is part of paths in the store, so it could lead
        out of it.
    """
    import pandas as pd

    texts = dict.fromkeys(("clip_id", "path", "problem", "sha256", "samples_sha256", "note"), "str")
    files = pd.read_csv(path, dtype=texts, keep_default_na=False, float_precision="round_trip")
    are_digests = files["sha256"].str.fullmatch("([0-9a-f]{64})?")
    if not are_digests.all():
        raise EmotraceError(
            f"{path}: the sha256 {files['sha256'][~are_digests].iloc[0]!r} has not 64 hexadecimal "
            "digits",
            hint="delete this file, then start the same command again",
        )
    return files


def read_verified_files(
    path: str | Path, digest_path: str | Path, digest: Callable[[pd.DataFrame], str]
) -> pd.DataFrame:
    """Read what inspecting the audio left, and verify it, since a CSV file holds no checksum.

    Parameters
    ----------
    path : str or Path
        See `read_files`.
    digest_path : str or Path
        What ``digest(files)`` was when the audio was inspected.
    digest : callable
        `digest_findings` or `digest_audio`, according to what the caller uses.

    Raises
    ------
    DamagedError
        If the digest is another one now.
    """
    expected = Path(digest_path).read_bytes().strip()
    try:
        files = read_files(path)
        found = digest(files)
    except (ValueError, KeyError, TypeError):
        found = "none, since it cannot be read"
    if found.encode() != expected:
        raise DamagedError(
            f"{path}: is damaged, or was changed by something other than emotrace: "
            f"{digest_path} does not match it",
            hint=REMAKE,
        )
    return files


def join_files(clips: pd.DataFrame, files: pd.DataFrame) -> pd.DataFrame:
    """Put beside each clip what its file turned out to be.

    Raises
    ------
    EmotraceError
        If the clips are no longer those whose files were inspected.
    """
    if list(clips["clip_id"]) != list(files["clip_id"]):
        raise EmotraceError(
            f"{FILES}: lists other clips than the corpus, which was changed after the run was "
            "planned",
            hint="start the same command again",
        )
    return clips.assign(**files.drop(columns=["clip_id", "offset_s"]))


def select_usable(files: pd.DataFrame) -> pd.DataFrame:
    """Keep the files that are audio, and whose ``clip_id`` is theirs alone."""
    return files[(files["problem"] == "") & ~files["clip_id"].duplicated(keep=False)]


def digest_findings(files: pd.DataFrame) -> str:
    """Digest what the files turned out to be, whatever their time stamps say."""
    return digest_tables(files.drop(columns=["size", "mtime_ns"]))


def digest_audio(files: pd.DataFrame) -> str:
    """Digest what features depend on: the usable files' content, and where it begins."""
    usable = select_usable(files).sort_values("clip_id")
    rows = usable[["clip_id", "sha256", "offset_s"]].itertuples(index=False, name=None)
    return hashlib.sha256(repr(list(rows)).encode()).hexdigest()
