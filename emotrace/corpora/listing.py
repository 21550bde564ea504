"""Which audio files a corpus is made of, and whether they are those that were inspected last.

Planning must not read all audio, and must not be deceived by time stamps: a file
is the one that was inspected if its size and time stamp are those noted then, or
else if its bytes are.
"""

from __future__ import annotations

import csv
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from emotrace.corpora.files import FILES

if TYPE_CHECKING:
    from emotrace.corpora.corpus import BaseCorpus

LISTING = Path("results/corpus/listing.digest")
"""What `digest_listing` was when the files were inspected."""


class ListedFile(NamedTuple):
    """An audio file as the corpus lists it.

    The numbers are -1 where there is no such file, or none that may be read: a new
    permission leaves size and time stamp as they were, and a pipe would be waited for.
    """

    clip_id: str
    path: str
    offset_s: float
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Changes:
    """How a corpus's audio differs from what was inspected last, by ``clip_id``.

    Parameters
    ----------
    added, removed, replaced : list of str
        `replaced` are clips whose file has other bytes, or that begin elsewhere on
        the time line.
    """

    added: list[str]
    removed: list[str]
    replaced: list[str]


def list_files(corpus: BaseCorpus) -> list[ListedFile]:
    """List a corpus's audio files with their sizes and time stamps.

    Parameters
    ----------
    corpus : BaseCorpus

    Returns
    -------
    list of ListedFile
        Paths below the working directory are relative, so that it can be moved.
    """
    here = os.getcwd() + os.sep
    return [
        ListedFile(clip_id, os.path.abspath(path).removeprefix(here), offset_s, *_look_at(path))
        for clip_id, path, offset_s in corpus.list_audio()
    ]


def digest_listing(corpus: BaseCorpus) -> str:
    """Digest a corpus's listing; the same as last time if the audio is the same."""
    if corpus.is_made_by_workflow:
        return "made by the workflow"
    listed = list_files(corpus)
    if LISTING.exists() and _are_those_inspected(listed):
        # A damaged digest is another one, which has the audio inspected again.
        return LISTING.read_text(encoding="utf-8", errors="replace").strip()
    # Of the files alone: Snakemake asks again when it has removed the outputs of last time.
    return hashlib.sha256(repr([tuple(file) for file in listed]).encode()).hexdigest()


def find_changes(corpus: BaseCorpus) -> Changes:
    """Compare a corpus's audio with what was inspected last."""
    listed = {file.clip_id: file for file in list_files(corpus)}
    inspected = {file.clip_id: (file, sha256) for file, sha256 in _read_inspected()}
    return Changes(
        added=[clip_id for clip_id in listed if clip_id not in inspected],
        removed=[clip_id for clip_id in inspected if clip_id not in listed],
        replaced=[
            clip_id
            for clip_id, file in listed.items()
            if clip_id in inspected and not _is_same(file, *inspected[clip_id])
        ],
    )


def _are_those_inspected(listed: list[ListedFile]) -> bool:
    inspected = _read_inspected()
    return [file[:2] for file in listed] == [file[:2] for file, _ in inspected] and all(
        _is_same(file, *known) for file, known in zip(listed, inspected, strict=True)
    )


def _look_at(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode) and os.access(path, os.R_OK):
            return found.st_size, found.st_mtime_ns
    except (OSError, ValueError):
        pass
    return -1, -1


def _is_same(file: ListedFile, inspected: ListedFile, sha256: str) -> bool:
    if file.offset_s != inspected.offset_s:
        return False
    if file[3:] == inspected[3:]:
        return True
    return file.size == inspected.size and _digest_file(file.path) == sha256


def _digest_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _read_inspected() -> list[tuple[ListedFile, str]]:
    """Read what was inspected last; nothing if the table is not as it was written."""
    try:
        with FILES.open(encoding="utf-8", newline="") as file:
            return [
                (
                    ListedFile(
                        row["clip_id"],
                        row["path"],
                        float(row["offset_s"]),
                        int(row["size"]),
                        int(row["mtime_ns"]),
                    ),
                    row["sha256"],
                )
                for row in csv.DictReader(file)
            ]
    except (FileNotFoundError, KeyError, TypeError, ValueError, csv.Error):
        return []
