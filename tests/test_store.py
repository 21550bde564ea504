"""What the store holds is complete, and may be shared."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from emotrace.reruns.store import write_file
from emotrace.runtime.errors import EmotraceError


def read_tree(folder: Path) -> dict[str, str]:
    """Return the texts of all files below a folder, hidden ones too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in files}


def test_an_entry_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    entry = tmp_path / "deep/entry"
    with write_file(entry) as unfinished:
        unfinished.write_text("whole", encoding="utf-8")
        assert not entry.exists()
    assert [path.name for path in entry.parent.iterdir()] == ["entry"]
    assert list(read_tree(entry.parent).values()) == ["whole"]


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), write_file(tmp_path / "entry") as unfinished:
        unfinished.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_one_of_two_writers_wins(tmp_path: Path) -> None:
    with write_file(tmp_path / "entry") as slow, write_file(tmp_path / "entry") as fast:
        slow.write_text("slow", encoding="utf-8")
        fast.write_text("fast", encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 1
    assert read_tree(tmp_path) == {"entry": "slow"}


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o755), (0o002, 0o775), (0o077, 0o700)])
def test_entries_get_the_permissions_of_the_umask(
    umask: int, expected: int, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        with write_file(tmp_path / "deep/entry") as unfinished:
            unfinished.write_text("text", encoding="utf-8")
    finally:
        os.umask(before)
    for path in (tmp_path / "deep").rglob("*"):
        found = stat.S_IMODE(path.stat().st_mode)
        assert found == (expected if path.is_dir() else expected & 0o666)


@pytest.mark.parametrize("blocked", ["store", "store/kind", "store/kind/entry"])
def test_a_store_that_cannot_be_written_to_is_named(blocked: str, tmp_path: Path) -> None:
    entry, obstacle = tmp_path / "store/kind/entry", tmp_path / blocked
    if obstacle == entry:
        entry.mkdir(parents=True)
    else:
        obstacle.parent.mkdir(parents=True, exist_ok=True)
        obstacle.touch()
    with (
        pytest.raises(EmotraceError, match=r"store.*cannot be written to \(.+\)\nhint: ."),
        write_file(entry) as unfinished,
    ):
        unfinished.write_text("text", encoding="utf-8")
    assert not list(tmp_path.rglob(".*"))
