"""What the store holds is complete, and may be shared."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from emotrace.reruns.store import write_file, write_folder
from emotrace.runtime.errors import EmotraceError

Writer = Callable[[Path], AbstractContextManager[Path]]

WRITERS = pytest.mark.parametrize("writer", [write_file, write_folder])


def fill(unfinished: Path, text: str) -> None:
    """Write a text where `write_file` or `write_folder` wants it."""
    file = unfinished / "file" if unfinished.is_dir() else unfinished
    file.write_text(text, encoding="utf-8")


def read_tree(folder: Path) -> dict[str, str]:
    """Return the texts of all files below a folder, hidden ones too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in files}


@WRITERS
def test_an_entry_appears_only_when_it_is_complete(writer: Writer, tmp_path: Path) -> None:
    entry = tmp_path / "deep/entry"
    with writer(entry) as unfinished:
        fill(unfinished, "whole")
        assert not entry.exists()
    assert [path.name for path in entry.parent.iterdir()] == ["entry"]
    assert list(read_tree(entry.parent).values()) == ["whole"]


@WRITERS
def test_what_fails_half_way_leaves_nothing(writer: Writer, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), writer(tmp_path / "entry") as unfinished:
        fill(unfinished, "half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@WRITERS
def test_of_two_writers_one_wins(writer: Writer, tmp_path: Path) -> None:
    with writer(tmp_path / "entry") as slow, writer(tmp_path / "entry") as fast:
        fill(slow, "slow")
        fill(fast, "fast")
    assert len(list(tmp_path.iterdir())) == 1
    # Folders cannot be replaced at one stroke, files can.
    expected = {"entry": "slow"} if writer is write_file else {"entry/file": "fast"}
    assert read_tree(tmp_path) == expected


@WRITERS
@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o755), (0o002, 0o775), (0o077, 0o700)])
def test_others_may_read_what_the_umask_lets_them(
    writer: Writer, umask: int, expected: int, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        with writer(tmp_path / "deep/entry") as unfinished:
            fill(unfinished, "text")
    finally:
        os.umask(before)
    for path in (tmp_path / "deep").rglob("*"):
        found = stat.S_IMODE(path.stat().st_mode)
        assert found == (expected if path.is_dir() else expected & 0o666)


@WRITERS
@pytest.mark.parametrize("blocked", ["store", "store/kind", "store/kind/entry"])
def test_a_store_that_cannot_be_written_to_is_named(
    writer: Writer, blocked: str, tmp_path: Path
) -> None:
    entry, obstacle = tmp_path / "store/kind/entry", tmp_path / blocked
    if obstacle == entry and writer is write_file:
        entry.mkdir(parents=True)
    else:
        obstacle.parent.mkdir(parents=True, exist_ok=True)
        obstacle.touch()
    with (
        pytest.raises(EmotraceError, match=r"store.*cannot be written to \(.+\)\nhint: ."),
        writer(entry) as unfinished,
    ):
        fill(unfinished, "text")
    assert not list(tmp_path.rglob(".*"))
