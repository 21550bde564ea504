"""What was computed before, kept under all that it depends on.

A store is a folder that several runs, users and machines may share::

    KIND/NAME/KEY/EN/ENTRY     one thing that was made
    claims/FOLDER/             which entries a working folder uses

KIND is ``inspections`` (what each audio file holds), ``features`` (the frames of each
clip) or ``fits`` (each trained model and what it predicted). NAME and KEY are those of
the recipe; see `emotrace.reruns.recipe`. ENTRY is a SHA-256 of what the recipe was
applied to, such as an audio file, and EN its first two digits.

An entry is one file that carries a checksum of its content and of its own name; the
weights of a fit lie beside it, in ENTRY.safetensors, and their checksum in the entry. It
appears under its name only when it is complete, so a killed job leaves none that is half
written, and if two jobs write the same one, one of them wins. No entry is ever changed.
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

    def locate(self, recipe: Recipe, entry: str) -> Path:
        """Name the file of an entry.

        Parameters
        ----------
        recipe : Recipe
        entry : str
            SHA-256, in hexadecimal digits, of what the recipe is applied to.
        """
        return self.root / recipe.kind / recipe.name / recipe.key / entry[:2] / entry

    def put(self, path: Path, content: bytes) -> None:
        """Keep an entry.

        Parameters
        ----------
        path : Path
            See `locate`.
        content : bytes

        Raises
        ------
        EmotraceError
            If the store cannot be written to.
        """
        with write_file(path) as unfinished:
            write_bytes(content, unfinished, about=self._name(path))

    def get(self, path: Path) -> bytes | None:
        """Return an entry, or None if it is not there or damaged.

        Parameters
        ----------
        path : Path
            See `locate`.

        Raises
        ------
        EmotraceError
            If it is there and may not be read.
        """
        try:
            return read_bytes(path, about=self._name(path))
        except (FileNotFoundError, DamagedError):
            return None
        except OSError as error:
            raise EmotraceError(
                f"{path}: this entry of the store cannot be read ({error.strerror or error})",
                hint="let its owner give you the right to read it, or name another folder under "
                "store in the config",
            ) from error

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

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


@contextmanager
def write_file(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; it becomes `path` when all went well.

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
        # Where it could not be written, it need not be there to be refused.
        with suppress(OSError):
            unfinished.unlink()


def remove_entry(entry: Path) -> None:
    """Remove an entry, if it is there.

    Raises
    ------
    EmotraceError
        If it may not be removed.
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
            return  # A store that may only be read has noted it before.
    except (OSError, DamagedError):
        pass
    with write_file(path) as unfinished:
        write_json(content, unfinished)


def _is_forbidden(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in FORBIDDEN
