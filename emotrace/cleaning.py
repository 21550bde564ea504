"""What of the store no experiment uses any more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from emotrace.errors import EmotraceError
from emotrace.store import FOLDER_NAME, Store

ENTRIES = ("examinations/*/*/*", "features/*/*/*/*", "fits/*/*/*")
"""Where entries lie in a store."""

ABANDONED_S = 24 * 3600
"""Age in seconds at which an entry that is still being written counts as a killed job's."""


@dataclass(frozen=True)
class Content:
    """Entries of a store and their size.

    Parameters
    ----------
    entries : list of Path
    size : int
        In bytes.
    """

    entries: list[Path]
    size: int


def find_unused(store: Store, products: Collection[str]) -> tuple[Content, Content]:
    """Tell the entries that no experiment uses from those that one does.

    Parameters
    ----------
    store : Store
    products : collection of str
        What the config of the present working folder makes. What other folders
        were made of counts as used while those folders exist.

    Returns
    -------
    unused, used : Content

    Raises
    ------
    EmotraceError
        If it cannot be told what this or another folder uses.
    """
    unknown = [
        product
        for product in sorted(products)
        if (store.user / product).exists() and not (store.claims / product).exists()
    ]
    if unknown:
        raise EmotraceError(
            f"{store.root}: it is not known which entries {', '.join(unknown)} in {store.user} "
            "are made of",
            hint="if the folder was moved or copied, put them together anew, which is fast: add "
            "--forcerun examine_audio extract_features train_model to the usual command",
        )
    claimed = set(_read_claims(store, set(products)))
    found: dict[bool, list[Path]] = {True: [], False: []}
    for pattern in ENTRIES:
        for entry in store.root.glob(pattern):
            name = entry.relative_to(store.root).as_posix()
            if entry.name.startswith("."):
                used = time.time() - entry.stat().st_mtime < ABANDONED_S
            else:
                used = name in claimed
            found[used].append(entry)
    return _measure(found[False]), _measure(found[True])


def remove(store: Store, unused: Content) -> None:
    """Remove entries, the folders that this leaves empty, and claims of folders that are gone."""
    for entry in unused.entries:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    for kind in ("examinations", "features", "fits"):
        folders = [path for path in (store.root / kind).rglob("*") if path.is_dir()]
        for folder in sorted(folders, reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()
    for claims, user in _list_users(store):
        if not user.is_dir():
            shutil.rmtree(claims)


def _read_claims(store: Store, products: set[str]) -> Iterator[str]:
    for claims, user in _list_users(store):
        if not user.is_dir():
            continue
        for file in claims.rglob("*"):
            product = file.relative_to(claims).as_posix()
            if file.is_dir() or product == FOLDER_NAME:
                continue
            if claims != store.claims or product in products:
                yield from _read_lines(file)


def _list_users(store: Store) -> Iterator[tuple[Path, Path]]:
    """Yield the claims of every working folder, and the folder."""
    for file in store.root.glob(f"claims/*/{FOLDER_NAME}"):
        (user,) = _read_lines(file)
        yield file.parent, Path(user)


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise EmotraceError(
            f"{file}: cannot be read ({error.strerror}), so it is not known what its owner uses",
            hint="let the owner of the store clean it",
        ) from error


def _measure(entries: list[Path]) -> Content:
    files = (
        file
        for entry in entries
        for file in (entry.rglob("*") if entry.is_dir() else [entry])
        if file.is_file()
    )
    return Content(entries, sum(file.stat().st_size for file in files))
