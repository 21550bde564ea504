"""What audio files turned out to be, kept in the store."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

from emotrace.corpora.inspection import Examination, examine_content, read_content
from emotrace.reruns.checksums import DamagedError, read_json, write_json
from emotrace.reruns.code import (
    digest_code,
    find_versions,
    refuse_changed_code,
    refuse_other_versions,
)
from emotrace.reruns.store import digest_identity, write_file

CODE = "emotrace/corpora/inspection.py"


class ExaminationStore:
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
        self.folder = root / "examinations" / digest_identity(identity)

    def locate(self, sha256: str) -> Path:
        """Name the entry of an audio file's bytes."""
        return self.folder / sha256[:2] / f"{sha256}.json"

    def examine_audio(self, path: str) -> Examination:
        """Examine a file; the same bytes, once examined, are not decoded again."""
        content = read_content(path)
        if isinstance(content, Examination):
            return content
        entry = self.locate(hashlib.sha256(content).hexdigest())
        examined = _read_entry(entry)
        if examined is None or examined.sha256 != entry.stem:
            examined = examine_content(path, content)
            refuse_changed_code(self.code, "examine_audio", CODE)
            refuse_other_versions("examine_audio", *self.libraries.items())
            with write_file(entry) as unfinished:
                write_json(asdict(examined), unfinished)
        return examined


def _read_entry(entry: Path) -> Examination | None:
    try:
        return Examination(**read_json(entry))
    except (OSError, DamagedError):
        return None
