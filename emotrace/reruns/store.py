"""Store computed results under a name that depends on everything that determines them.

A store is a folder that several runs, users and machines may share::

    KIND/NAME/KEY/EN/ENTRY     one result
    claims/FOLDER/             which entries a working folder uses

KIND is ``inspections`` (the properties of each audio file), ``features`` (the frames of
each clip) or ``fits`` (each trained model and its predictions). NAME and KEY are the name
and key of the recipe; see `emotrace.reruns.recipe`. ENTRY is a SHA-256 of the input of the
recipe, such as an audio file, and EN is its first two digits.

An entry is one file that carries a checksum of its content and of its own name. The weights
of a fit lie beside its entry, in ENTRY.safetensors, and the entry holds their checksum. An
entry appears under its name only when it is complete, so a killed job leaves no
half-written entry. If two jobs write the same entry, one of them wins. Entries are never
changed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotrace.reruns.checksums import (
    DamagedError,
    read_bytes,
    read_json,
    write_bytes,
    write_json,
)
from emotrace.reruns.recipe import Recipe
from emotrace.runtime.disks import FORBIDDEN
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.paths import expand_path

logger = logging.getLogger(__name__)

FOLDER_NAME = "folder"
"""Name of the file among the claims of a working folder that holds the folder's path."""


@dataclass(frozen=True)
class Store:
    """A store, as used from one working folder.

    Parameters
    ----------
    root : Path
        Folder of the store.
    user : Path
        Working folder.
    """

    root: Path
    user: Path

    @property
    def claims(self) -> Path:
        """Folder in which the working folder notes the entries that it uses."""
        return self.root / "claims" / hashlib.sha256(str(self.user).encode()).hexdigest()[:16]

    def locate(self, recipe: Recipe, entry: str) -> Path:
        """Return the path of an entry.

        Parameters
        ----------
        recipe : Recipe
            Recipe of the entry.
        entry : str
            SHA-256 of the recipe's input, in hexadecimal digits.
        """
        return self.root / recipe.kind / recipe.name / recipe.key / entry[:2] / entry

    def put(self, path: Path, content: bytes) -> None:
        """Store an entry.

        Parameters
        ----------
        path : Path
            Path of the entry; see `locate`.
        content : bytes
            Content of the entry.

        Raises
        ------
        EmotraceError
            If the store cannot be written to.
        """
        with write_file(path) as unfinished:
            write_bytes(content, unfinished, about=self._name(path))

    def get(self, path: Path) -> bytes | None:
        """Return the content of an entry, or None if the entry is missing or damaged.

        Parameters
        ----------
        path : Path
            Path of the entry; see `locate`.

        Raises
        ------
        EmotraceError
            If the entry exists but you lack permission to read it.
        """
        try:
            return read_bytes(path, about=self._name(path))
        except (FileNotFoundError, DamagedError):
            return None
        except OSError as error:
            raise explain_unreadable(path, error) from error

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def claim(self, product: Path, entries: Iterable[Path]) -> None:
        """Note which entries a product is made of, so that cleaning does not remove them.

        If the store is read-only and has all entries, the product can still use them, but
        nothing can be noted; a warning says so.

        Parameters
        ----------
        product : Path
            Path of the product, below the working folder. An earlier claim is replaced.
        entries : iterable of Path
            Paths of the entries.

        Raises
        ------
        EmotraceError
            If the store cannot be written to and lacks an entry, or its disk is full.
        """
        entries = set(entries)
        names = sorted(map(self._name, entries))
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
        Value of ``store`` in the config; relative to the working folder.

    Raises
    ------
    EmotraceError
        If the path is not valid.
    """
    try:
        return Store(expand_path(path).absolute(), Path.cwd())
    except ValueError as error:
        raise EmotraceError(f"store: {error}", hint="name another folder") from None


def explain_unreadable(path: Path, error: OSError) -> EmotraceError:
    """Make the error that says why a file of a store cannot be read."""
    return EmotraceError(
        f"{path}: this entry of the store cannot be read ({error.strerror or error})",
        hint="let its owner give you the right to read it, or name another folder under store in "
        "the config",
    )


@contextmanager
def write_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if no error occurred.

    Raises
    ------
    EmotraceError
        If the store cannot be written to.
    """
    unfinished = path.parent / f".{path.name}.{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        os.replace(unfinished, path)
    except OSError as error:
        raise EmotraceError(
            f"{error.filename or path}: the store cannot be written to ({error.strerror or error})",
            hint="make room or give yourself the right to write there, or name another folder "
            "under store in the config",
        ) from error
    finally:
        # If the file could not be written, there may be nothing to remove.
        with suppress(OSError):
            unfinished.unlink()


def remove_entry(entry: Path) -> None:
    """Remove an entry if it exists.

    Raises
    ------
    EmotraceError
        If you lack permission to remove it.
    """
    try:
        entry.unlink(missing_ok=True)
    except OSError as error:
        raise EmotraceError(
            f"{error.filename or entry}: cannot be removed from the store "
            f"({error.strerror or error})",
            hint="let its owner remove it, or give you the right to write there",
        ) from error


def _write_claim(path: Path, content: dict[str, Any]) -> None:
    try:
        if read_json(path) == content:
            return  # A read-only store may already hold this claim.
    except (OSError, DamagedError):
        pass
    with write_file(path) as unfinished:
        write_json(content, unfinished)


def _is_forbidden(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in FORBIDDEN
