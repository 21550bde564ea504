"""List the audio files of a corpus, and detect changes since the last inspection.

Planning must not read all audio, and must not trust time stamps alone. A file counts as
unchanged if its size and time stamp are the same as at the last inspection, or else if its
bytes are.
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
"""Path of a file with the result of `digest_listing` at the time of the last inspection."""


class ListedFile(NamedTuple):
    """An audio file of a corpus, with its size and time stamp.

    The numbers are -1 if the file does not exist or cannot be read. They are -1 for unreadable
    files because changing permissions leaves size and time stamp as they were, and for pipes
    because reading one would block.
    """

    clip_id: str
    path: str
    offset_s: float
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Changes:
    """Changes to a corpus's audio since the last inspection.

    Parameters
    ----------
    added, removed, replaced : list of str
        Ids of clips. `replaced` are clips whose file has other bytes, or whose position on the
        time line has changed.
    """

    added: list[str]
    removed: list[str]
    replaced: list[str]


def list_files(corpus: BaseCorpus) -> list[ListedFile]:
    """List the audio files of a corpus with their sizes and time stamps.

    Parameters
    ----------
    corpus : BaseCorpus
        Corpus whose files to list.

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
    """Digest the listing of a corpus; unchanged if the audio is the same as last time."""
    if corpus.is_made_by_workflow:
        return "made by the workflow"
    listed = list_files(corpus)
    if LISTING.exists() and _are_those_inspected(listed):
        # If the stored digest is damaged, it differs, and the audio is inspected again.
        return LISTING.read_text(encoding="utf-8", errors="replace").strip()
    # Digest only the files: Snakemake asks again after it has removed the outputs of last time.
    return hashlib.sha256(repr([tuple(file) for file in listed]).encode()).hexdigest()


def find_changes(corpus: BaseCorpus) -> Changes:
    """Compare the audio of a corpus with the last inspection."""
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
    """Read the files of the last inspection; empty if the table has been changed."""
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
