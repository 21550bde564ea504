"""Cleaning removes what emotrace made and nobody uses, and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emotrace.reruns.cleaning import remove_unused, take_inventory
from emotrace.reruns.store import Store
from emotrace.runtime.errors import EmotraceError

HEX16, SHA, UNIQUE = "0123456789abcdef", 32 * "ab", 16 * "c0"
INSPECTION = f"inspections/audio/{HEX16}/ab/{SHA}"
FEATURES = f"features/compare/{HEX16}/ab/{SHA}"
FIT = f"fits/AT_64/{HEX16}/ab/{SHA}"
WEIGHTS = f"{FIT}.safetensors"
CHECKPOINT = f"fits/AT_64/{HEX16}/ab/.{SHA}.checkpoint"


def write(path: Path, *, hours: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("something", encoding="utf-8")
    age(path, hours)
    return path


def age(path: Path, hours: float) -> None:
    then = time.time() - 3600 * hours
    os.utime(path, (then, then))


def fill(root: Path) -> None:
    """Write an entry of each kind, and as long as they are not finished."""
    for name in (INSPECTION, FEATURES, FIT, WEIGHTS):
        write(root / name)
        unfinished = f".{Path(name).name}.{UNIQUE}"
        write((root / name).with_name(unfinished), hours=25)
    write(root / CHECKPOINT, hours=25)
    write((root / CHECKPOINT).with_name(f"..{SHA}.checkpoint.{UNIQUE}"), hours=25)


def list_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def clean(store: Store, *products: str) -> int:
    """Clean a store; return how many entries were removed."""
    inventory = take_inventory(store, products)
    remove_unused(store, inventory)
    return len(inventory.unused.entries)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "user").mkdir()
    return Store(tmp_path / "store", tmp_path / "user")


def test_all_that_is_unused_goes_with_its_folders(store: Store) -> None:
    fill(store.root)
    kept = write(store.root / f"features/compare/{HEX16}/cd/.{SHA}.{UNIQUE}")
    assert clean(store) == 10
    assert list_files(store.root) == {
        "inspections",
        *("features", "features/compare", f"features/compare/{HEX16}"),
        *(f"features/compare/{HEX16}/cd", kept.relative_to(store.root).as_posix()),
        "fits",
    }


def test_what_is_claimed_stays(store: Store) -> None:
    fill(store.root)
    product = store.user / "results/features/compare.parquet"
    store.claim(product, [store.root / FEATURES, store.root / FIT])
    assert clean(store, "results/features/compare.parquet") == 7
    assert (
        (store.root / FEATURES).exists()
        and (store.root / FIT).exists()
        and (store.root / WEIGHTS).exists()
    )
    assert not (store.root / INSPECTION).exists()
    assert clean(store) == 3  # the product is no part of the experiment any more
    assert list_files(store.claims) == {"folder", "results", "results/features"}


def test_a_store_may_be_a_link(store: Store, tmp_path: Path) -> None:
    fill(tmp_path / "disk")
    store.root.symlink_to(tmp_path / "disk")
    assert clean(store) == 10
    assert list_files(tmp_path / "disk") == {"inspections", "features", "fits"}


def list_levels() -> list[tuple[str, str]]:
    """Pair each folder above an entry, and the entry itself, with the entry."""
    return [
        ("/".join(entry.split("/")[: level + 1]), entry)
        for entry in (INSPECTION, FEATURES, FIT, CHECKPOINT)
        for level in range(len(entry.split("/")))
    ]


@pytest.mark.parametrize(("link", "entry"), list_levels())
def test_no_link_is_crossed(store: Store, link: str, entry: str, tmp_path: Path) -> None:
    """Somebody's folder has just the files that the store would have there."""
    fill(tmp_path / "theirs")
    (store.root / link).parent.mkdir(parents=True, exist_ok=True)
    (store.root / link).symlink_to(tmp_path / "theirs" / link)
    age(tmp_path / "theirs" / entry, hours=25)
    before = list_files(tmp_path / "theirs")
    assert (store.root / entry).exists()
    assert clean(store) == 0
    assert list_files(tmp_path / "theirs") == before
    assert (store.root / link).is_symlink()


@pytest.mark.parametrize(("link", "entry"), list_levels())
def test_a_folder_that_becomes_a_link_meanwhile_is_not_crossed(
    store: Store, link: str, entry: str, tmp_path: Path
) -> None:
    fill(store.root)
    fill(tmp_path / "theirs")
    before = list_files(tmp_path / "theirs")
    inventory = take_inventory(store, ())
    (store.root / link).rename(tmp_path / "moved")
    (store.root / link).symlink_to(tmp_path / "theirs" / link)
    remove_unused(store, inventory)
    assert list_files(tmp_path / "theirs") == before


FOREIGN = [
    "features/a/b/c/x",
    f"features/compare/{HEX16}/ab/notes.txt",
    f"features/compare/{HEX16}/ab/{SHA}.parquet",
    f"features/compare/{HEX16}/ab/{SHA}/inside",
    f"features/compare/{HEX16}/{SHA}",
    f"features/compare/{HEX16.upper()}/ab/{SHA}",
    f"features/compare/{HEX16}/ab/{SHA.upper()}",
    f"features/my set/{HEX16}/ab/{SHA}",
    f"features/compare/{HEX16}/ab/.hidden",
    f"inspections/audio/{HEX16}/ab/{SHA}.bak",
    f"fits/AT_64/{HEX16}/ab/.{SHA}.swp",
    f"fits/AT_64/{HEX16}/ab/{SHA}.checkpoint",
    f"models/AT_64/{HEX16}/ab/{SHA}",
    "music/a.wav",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_what_emotrace_did_not_make_stays(store: Store, name: str) -> None:
    write(store.root / name, hours=99)
    (store.root / "features/empty/of/mine").mkdir(parents=True)
    before = list_files(store.root)
    assert clean(store) == 0
    assert list_files(store.root) == before


def test_claims_that_are_a_link_lose_nothing(store: Store, tmp_path: Path) -> None:
    """All that lies there would be claims of products that no config names."""
    theirs = write(tmp_path / "theirs/thesis.parquet")
    store.claims.parent.mkdir(parents=True)
    store.claims.symlink_to(tmp_path / "theirs")
    with pytest.raises(EmotraceError, match=r"is a link.*\nhint: "):
        clean(store)
    assert theirs.exists()


def empty(claim: Path) -> None:
    claim.write_bytes(b"")


def flip_bit(claim: Path) -> None:
    content = bytearray(claim.read_bytes())
    content[len(content) // 2] ^= 1
    claim.write_bytes(content)


def fill_with_others(claim: Path) -> None:
    claim.write_bytes(b'\xff\xfe["no", "claim"]')


def link(claim: Path) -> None:
    claim.rename(moved := claim.with_name("moved"))
    claim.symlink_to(moved)


@pytest.mark.parametrize("damage", [empty, flip_bit, fill_with_others, link])
@pytest.mark.parametrize("name", ["folder", "results/features/compare.parquet"])
def test_claims_that_do_not_say_what_is_used_stop_the_cleaning(
    store: Store, damage: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    fill(store.root)
    other = Store(store.root, tmp_path)
    other.claim(tmp_path / "results/features/compare.parquet", [store.root / FEATURES])
    damage(other.claims / name)
    with pytest.raises(EmotraceError, match=r"cannot be read.*\nhint: ") as refused:
        clean(store)
    assert str(other.claims / name) in str(refused.value)
    assert (store.root / FEATURES).exists()
    other.claim(tmp_path / "results/features/compare.parquet", [store.root / FEATURES])
    if damage is not link:
        assert clean(store) == 9
