"""Find and remove the entries of the store that no experiment uses any more."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from emotrace.reruns.checksums import DamagedError, read_json
from emotrace.reruns.store import FOLDER_NAME, Store, remove_entry
from emotrace.runtime.errors import EmotraceError

KINDS = ("inspections", "features", "fits")

HEX16, SHA256, UNIQUE = r"[0-9a-f]{16}", r"[0-9a-f]{64}", r"[0-9a-f]{32}"

FOLDERS = (r"\w+", HEX16, r"[0-9a-f]{2}")
"""Names of the nested folders in which an entry lies; see `emotrace.reruns.store`."""

WEIGHTS = ".safetensors"
"""Suffix that the weights of a fit add to the name of its entry."""

FILE = rf"{SHA256}({re.escape(WEIGHTS)})?|\.{SHA256}\.checkpoint"
"""Names of entries, weights, and checkpoints of fits; see `emotrace.training.fits`."""

UNFINISHED = rf"\.({FILE})\.{UNIQUE}"
"""Names of the same files while they are being written."""

CLAIM = r"(.*/)?([^./][^/]*\.parquet|files\.csv)"
"""Name of a claim within the claims of a working folder: the name of the product."""

ABANDONED_S = 24 * 3600
"""Age in seconds at which an unfinished entry counts as left behind by a killed job."""


@dataclass(frozen=True)
class Content:
    """Entries of a store and their total size.

    Parameters
    ----------
    entries : list of Path
        Files of the entries.
    size : int
        Total size in bytes.
    """

    entries: list[Path]
    size: int


@dataclass(frozen=True)
class Inventory:
    """Entries of a store, divided by whether an experiment uses them.

    Parameters
    ----------
    unused, used : Content
        Entries that no experiment uses, and all other entries.
    dropped : list of str
        Products that were made in the present working folder but are no longer part of its
        experiment.
    missing : dict of Path to Path
        Working folders that cannot be found, and the folders that hold their claims. They may
        have been moved, or lie on a disk that is not mounted, so their entries count as used.
    """

    unused: Content
    used: Content
    dropped: list[str]
    missing: dict[Path, Path]


def take_inventory(store: Store, products: Collection[str]) -> Inventory:
    """Find out which entries an experiment uses and which none does.

    Parameters
    ----------
    store : Store
        Store to look through.
    products : collection of str
        Products that the config of the present working folder makes. For all other working
        folders, the entries of everything that they made count as used.

    Raises
    ------
    EmotraceError
        If it is not possible to tell what this or another folder uses.
    """
    _refuse_unclaimed(store, products)
    claimed: set[str] = set()
    dropped: list[str] = []
    missing: dict[Path, Path] = {}
    for claims in _list_users(store):
        for product, file in _list_claims(claims):
            if claims == store.claims and product not in products:
                dropped.append(product)
            else:
                claimed.update(map(str, _read_claim(file, "entries", list)))
        user = Path(_read_claim(claims / FOLDER_NAME, "folder", str))
        if not os.path.isdir(user):
            missing[user] = claims
    found: dict[bool, list[Path]] = {True: [], False: []}
    for entry in list_entries(store.root):
        found[_is_used(entry, store, claimed)].append(entry)
    return Inventory(_measure(found[False]), _measure(found[True]), dropped, missing)


def remove_unused(store: Store, inventory: Inventory) -> None:
    """Remove unused entries, the folders that become empty, and the claims of dropped products.

    Raises
    ------
    EmotraceError
        If a file cannot be removed for lack of permission.
    """
    for entry in inventory.unused.entries:
        # Meanwhile, a folder above the entry may have been replaced by a link to another place.
        if _is_reached_without_links(entry, store.root):
            remove_entry(entry)
            _remove_empty(entry.parent, store.root)
    for product in inventory.dropped:
        if _is_reached_without_links(store.claims / product, store.root):
            remove_entry(store.claims / product)


def list_entries(root: Path) -> Iterator[Path]:
    """Yield all entries of a store, finished or not, and no other files.

    Links are neither followed nor counted as entries, so nothing outside the store is
    mistaken for a part of it. Only the store itself may be a link.

    Parameters
    ----------
    root : Path
        Folder of the store.
    """
    for kind in KINDS:
        folders = [root / kind]
        for name in FOLDERS:
            folders = [
                Path(member)
                for folder in folders
                for member in _list_members(folder)
                if member.is_dir(follow_symlinks=False) and _matches(name, member)
            ]
        for folder in folders:
            for member in _list_members(folder):
                is_entry = _matches(rf"{FILE}|{UNFINISHED}", member)
                if is_entry and member.is_file(follow_symlinks=False):
                    yield Path(member)


def _list_members(folder: Path) -> list[os.DirEntry[str]]:
    """List the members of a folder; none if it is a link or cannot be read."""
    if folder.is_symlink():
        return []
    with suppress(OSError), os.scandir(folder) as members:
        return sorted(members, key=lambda member: member.name)
    return []


def _matches(form: str, member: os.DirEntry[str]) -> bool:
    return re.fullmatch(form, member.name, re.ASCII) is not None


def _is_reached_without_links(path: Path, root: Path) -> bool:
    return os.path.realpath(path) == os.path.join(os.path.realpath(root), path.relative_to(root))


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove the folders that became empty with an entry, up to the folder of its kind."""
    with suppress(OSError):  # Not empty, or another's.
        while folder.parent != root:
            folder.rmdir()
            folder = folder.parent


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
            hint="if the folder was moved or copied, put them together again, from what the store "
            "has: add --forcerun inspect_audio extract_features train_model to the usual command",
        )


def _list_users(store: Store) -> list[Path]:
    """List the folders of claims, one for each working folder."""
    folder = store.root / "claims"
    if not os.path.lexists(folder):
        return []
    _, names, _ = next(_walk(folder))
    return [folder / name for name in sorted(names) if re.fullmatch(HEX16, name, re.ASCII)]


def _list_claims(claims: Path) -> Iterator[tuple[str, Path]]:
    """Yield each product of a working folder with the file that lists its entries."""
    for folder, _, names in _walk(claims):
        for file in (Path(folder, name) for name in sorted(names)):
            product = file.relative_to(claims).as_posix()
            if re.fullmatch(CLAIM, product):
                yield product, file


def _walk(claims: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk through a folder of claims, and fail if a part of it cannot be read."""

    def refuse(error: OSError) -> NoReturn:
        raise _refuse_unreadable(Path(error.filename), error.strerror) from error

    for folder, folders, names in os.walk(claims, onerror=refuse):
        for path in (Path(folder), *(Path(folder, name) for name in (*folders, *names))):
            if path.is_symlink():
                raise _refuse_unreadable(path, "it is a link")
        yield folder, folders, names


def _read_claim(file: Path, key: str, kind: type) -> Any:
    try:
        value = read_json(file).get(key)
    except OSError as error:
        raise _refuse_unreadable(file, error.strerror) from error
    except DamagedError:
        value = None
    if not isinstance(value, kind):
        raise _refuse_unreadable(file, "it is damaged")
    return value


def _refuse_unreadable(path: Path, reason: str | None) -> EmotraceError:
    return EmotraceError(
        f"{path}: cannot be read ({reason}), so it is not known what its owner uses",
        hint="let the owner of the store clean it; a claim that is damaged is written again by "
        "--forcerun inspect_audio extract_features train_model in the folder that made it, or "
        "remove it if that folder is gone",
    )


def _is_used(entry: Path, store: Store, claimed: set[str]) -> bool:
    if entry.name.startswith("."):
        try:
            return time.time() - entry.stat().st_mtime < ABANDONED_S
        except FileNotFoundError:  # It was finished meanwhile.
            return True
    return entry.relative_to(store.root).as_posix().removesuffix(WEIGHTS) in claimed


def _measure(entries: list[Path]) -> Content:
    size = 0
    for entry in entries:
        with suppress(FileNotFoundError):  # Finished or removed meanwhile.
            size += entry.stat().st_size
    return Content(entries, size)
