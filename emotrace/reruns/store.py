"""What was computed before, kept under all that it depends on.

A store is a folder that several runs, users and machines may share::

    inspections/IDENTITY/SH/SHA256.json            what an audio file turned out to be
    features/FEATURE_SET/IDENTITY/SH/SHA256_OFFSET.parquet     one clip's frames
    fits/FEATURE_SET/MODEL/KEY/                     one fitted model and what it predicts
    claims/FOLDER/                                  which entries a working folder uses

IDENTITY and KEY are digests of everything that decides the values; SH are the
first two digits of SHA256, the digest of the audio file. An entry appears under
its name only when it is complete, so that a killed job leaves none that is half
written, and of two that write the same one, one wins. No entry is ever changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotrace.reruns.checksums import DamagedError, read_json, write_json
from emotrace.runtime.disks import FORBIDDEN
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.paths import expand_path

logger = logging.getLogger(__name__)

FOLDER_NAME = "folder"
"""File among the claims of a working folder that holds its path."""


@dataclass(frozen=True)
class Store:
    """A store, as one working folder sees it.

    Parameters
    ----------
    root : Path
        Folder of the store.
    user : Path
        The working folder.
    """

    root: Path
    user: Path

    @property
    def claims(self) -> Path:
        """Where the working folder notes what it uses."""
        return self.root / "claims" / hashlib.sha256(str(self.user).encode()).hexdigest()[:16]

    def claim(self, product: Path, entries: Iterable[Path]) -> None:
        """Note which entries a product is made of, so that no clean-up takes them away.

        A store that may only be read serves a product if it has all of its entries. Then
        nothing can be noted, and a warning says so.

        Parameters
        ----------
        product : Path
            Below the working folder; its earlier claim is forgotten.
        entries : iterable of Path

        Raises
        ------
        EmotraceError
            If the store cannot be written to and lacks an entry, or its disk is full.
        """
        entries = set(entries)
        names = sorted(entry.relative_to(self.root).as_posix() for entry in entries)
        claim = self.claims / os.path.relpath(product, self.user)
        try:
            _write_claim(self.claims / FOLDER_NAME, {"folder": str(self.user)})
            _write_claim(claim, {"entries": names})
        except EmotraceError as error:
            if not _is_forbidden(error.__cause__) or not all(map(os.path.exists, entries)):
                raise
            logger.warning(
                "%s may only be read, so it cannot be noted there that %s uses it: if its owner "
                "cleans it, what %s is made of may be removed",
                self.root,
                self.user,
                os.path.relpath(product, self.user),
            )


def open_store(path: str) -> Store:
    """Return the store that a config names, for the present working folder.

    Parameters
    ----------
    path : str
        The config's key ``store``; relative to the working folder.

    Raises
    ------
    EmotraceError
        If there can be no such path.
    """
    try:
        return Store(expand_path(path).absolute(), Path.cwd())
    except ValueError as error:
        raise EmotraceError(f"store: {error}", hint="name another folder") from None


def digest_identity(identity: Mapping[str, Any]) -> str:
    """Digest what decides the values of entries: sixteen hexadecimal digits."""
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def write_file(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; it becomes `path` when all went well.

    Raises
    ------
    EmotraceError
        If the store cannot be written to.
    """
    with _write_beside(path) as unfinished:
        yield unfinished
        os.replace(unfinished, path)


@contextmanager
def write_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` to fill; it becomes `path` when all went well.

    If another process was faster, its folder stays and this one is dropped.

    Raises
    ------
    EmotraceError
        If the store cannot be written to.
    """
    with _write_beside(path) as unfinished:
        unfinished.mkdir()
        yield unfinished
        try:
            os.rename(unfinished, path)
        except OSError:
            if not path.is_dir():
                raise


def remove_entry(entry: Path) -> None:
    """Remove an entry, if it is there.

    Raises
    ------
    EmotraceError
        If it may not be removed.
    """
    try:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    except FileNotFoundError:
        pass  # Another process removes it too.
    except OSError as error:
        raise EmotraceError(
            f"{error.filename or entry}: cannot be removed from the store "
            f"({error.strerror or error})",
            hint="let its owner remove it, or give you the right to write there",
        ) from error


def _write_claim(path: Path, content: dict[str, Any]) -> None:
    try:
        if read_json(path) == content:
            return  # A store that may only be read has noted it before.
    except (OSError, DamagedError):
        pass
    with write_file(path) as unfinished:
        write_json(content, unfinished)


def _is_forbidden(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in FORBIDDEN


@contextmanager
def _write_beside(path: Path) -> Iterator[Path]:
    unfinished = path.parent / f".{path.name}.{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
    except OSError as error:
        raise EmotraceError(
            f"{error.filename or path}: the store cannot be written to ({error.strerror or error})",
            hint="make room or give yourself the right to write there, or name another folder "
            "under store in the config",
        ) from error
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            # Where it could not be written, it need not be there to be refused.
            with suppress(OSError):
                unfinished.unlink()
