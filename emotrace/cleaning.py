"""What of the store no experiment uses any more."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emotrace.errors import EmotraceError
from emotrace.store import FOLDER_NAME, Store, remove_entry

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


@dataclass(frozen=True)
class Inventory:
    """What a store holds, and for whom.

    Parameters
    ----------
    unused, used : Content
    dropped : list of str
        What was made in the present working folder and is no part of its experiment.
    missing : dict of Path to Path
        Working folders that cannot be found, and where their claims lie. They may have
        been moved, or lie on a disk that is not mounted, so what they use counts as used.
    """

    unused: Content
    used: Content
    dropped: list[str]
    missing: dict[Path, Path]


def take_inventory(store: Store, products: Collection[str]) -> Inventory:
    """Tell the entries that no experiment uses from those that one does.

    Parameters
    ----------
    store : Store
    products : collection of str
        What the config of the present working folder makes. All that other folders
        were made of counts as used.

    Raises
    ------
    EmotraceError
        If it cannot be told what this or another folder uses.
    """
    _refuse_unclaimed(store, products)
    claimed: set[str] = set()
    dropped: list[str] = []
    missing: dict[Path, Path] = {}
    for claims in sorted(store.root.glob("claims/*")):
        for product, file in _list_claims(claims):
            if claims == store.claims and product not in products:
                dropped.append(product)
            else:
                claimed.update(_read_lines(file))
        if not os.path.isdir(user := _read_user(claims)):
            missing[user] = claims
    found: dict[bool, list[Path]] = {True: [], False: []}
    for pattern in ENTRIES:
        for entry in store.root.glob(pattern):
            found[_is_used(entry, store, claimed)].append(entry)
    return Inventory(_measure(found[False]), _measure(found[True]), dropped, missing)


def remove_unused(store: Store, inventory: Inventory) -> None:
    """Remove unused entries, the folders that this leaves empty, and the claims of what is dropped.

    Raises
    ------
    EmotraceError
        If something may not be removed.
    """
    for entry in inventory.unused.entries:
        remove_entry(entry)
    for product in inventory.dropped:
        remove_entry(store.claims / product)
    for kind in ("examinations", "features", "fits"):
        folders = [path for path in (store.root / kind).rglob("*") if path.is_dir()]
        for folder in sorted(folders, reverse=True):
            with suppress(OSError):  # Not empty, or another's.
                folder.rmdir()


def _refuse_unclaimed(store: Store, products: Collection[str]) -> None:
    unknown = [
        product
        for product in sorted(products)
        if (store.user / product).exists() and not (store.claims / product).exists()
    ]
    if unknown:
        raise EmotraceError(
            f"{store.root}: it is not known which entries {', '.join(unknown)} in {store.user} "
            "are made of",
            hint="if the folder was moved or copied, put them together anew, from what the store "
            "has: add --forcerun examine_audio extract_features train_model to the usual command",
        )


def _list_claims(claims: Path) -> Iterator[tuple[str, Path]]:
    """Yield the products of a working folder, and the files that say what they are made of."""
    for file in sorted(claims.rglob("*")):
        product = file.relative_to(claims).as_posix()
        if file.is_file() and product != FOLDER_NAME and not file.name.startswith("."):
            yield product, file


def _read_user(claims: Path) -> Path:
    lines = _read_lines(claims / FOLDER_NAME)
    return Path(lines[0])


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise EmotraceError(
            f"{file}: cannot be read ({error.strerror}), so it is not known what its owner uses",
            hint="let the owner of the store clean it",
        ) from error


def _is_used(entry: Path, store: Store, claimed: set[str]) -> bool:
    if entry.name.startswith("."):
        try:
            return time.time() - entry.stat().st_mtime < ABANDONED_S
        except FileNotFoundError:  # It was finished meanwhile.
            return True
    return entry.relative_to(store.root).as_posix() in claimed


def _measure(entries: list[Path]) -> Content:
    files = (
        file
        for entry in entries
        for file in (entry.rglob("*") if entry.is_dir() else [entry])
        if file.is_file()
    )
    return Content(entries, sum(file.stat().st_size for file in files))
