"""Read and verify the table of a corpus's audio files, ``results/corpus/files.csv``."""

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
"""Path of the table with the inspection of each audio file."""


def read_files(path: str | Path) -> pd.DataFrame:
    """Read the inspections of all audio files: one row per file, in the order of the corpus.

    Raises
    ------
    EmotraceError
        If a checksum is malformed. Checksums become parts of paths in the store, so a malformed
        one could lead to a path outside the store.
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
    """Read the inspections of all audio files, and verify them with a separate digest.

    The digest is needed because a CSV file holds no checksum.

    Parameters
    ----------
    path : str or Path
        Path of the table; see `read_files`.
    digest_path : str or Path
        Path of a file with the result of ``digest(files)`` at the time of the inspection.
    digest : callable
        `digest_findings` or `digest_audio`, depending on what the caller uses.

    Raises
    ------
    DamagedError
        If the digest differs now.
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
    """Add the inspection of its file to each clip.

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
    """Select the files that hold usable audio and whose ``clip_id`` is unique."""
    return files[(files["problem"] == "") & ~files["clip_id"].duplicated(keep=False)]


def digest_findings(files: pd.DataFrame) -> str:
    """Digest the inspections of the files, without their time stamps."""
    return digest_tables(files.drop(columns=["size", "mtime_ns"]))


def digest_audio(files: pd.DataFrame) -> str:
    """Digest what features depend on: the content of the usable files, and their offsets."""
    usable = select_usable(files).sort_values("clip_id")
    rows = usable[["clip_id", "sha256", "offset_s"]].itertuples(index=False, name=None)
    return hashlib.sha256(repr(list(rows)).encode()).hexdigest()
