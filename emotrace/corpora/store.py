"""What audio files turned out to be, kept in the store."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

from emotrace.corpora.inspection import Inspection, inspect_content, read_content
from emotrace.reruns.checksums import DamagedError, read_json, write_json
from emotrace.reruns.code import (
    check_code,
    check_versions,
    digest_code,
    find_versions,
)
from emotrace.reruns.store import digest_identity, write_file

CODE = "emotrace/corpora/inspection.py"


class InspectionStore:
    """One entry per content of a file.

    Parameters
    ----------
    root : Path
        Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.code = digest_code(CODE)
        self.libraries = find_versions("av")
        identity = {"code": self.code, "libraries": self.libraries}
        self.folder = root / "inspections" / digest_identity(identity)

    def locate(self, sha256: str) -> Path:
        """Name the entry of an audio file's bytes."""
        return self.folder / sha256[:2] / f"{sha256}.json"

    def inspect_audio(self, path: str) -> Inspection:
        """Inspect a file; the same bytes, once inspected, are not decoded again."""
        content = read_content(path)
        if isinstance(content, Inspection):
            return content
        entry = self.locate(hashlib.sha256(content).hexdigest())
        inspected = _read_entry(entry)
        if inspected is None or inspected.sha256 != entry.stem:
            inspected = inspect_content(path, content)
            check_code(self.code, "inspect_audio", CODE)
            check_versions("inspect_audio", *self.libraries.items())
            with write_file(entry) as unfinished:
                write_json(asdict(inspected), unfinished)
        return inspected


def _read_entry(entry: Path) -> Inspection | None:
    try:
        return Inspection(**read_json(entry))
    except (OSError, DamagedError):
        return None
