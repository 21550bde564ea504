"""Locks between jobs."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from emotrace.runtime.locks import hold_lock, try_lock


def test_a_lock_has_one_holder_and_the_next_one_waits(tmp_path: Path) -> None:
    first = try_lock(tmp_path / "lock")
    assert first is not None
    assert try_lock(tmp_path / "lock") is None
    held = threading.Event()

    def wait() -> None:
        with hold_lock(tmp_path / "lock"):
            held.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not held.wait(0.5)
    os.close(first)
    assert held.wait(10)
    waiting.join()


def test_a_lock_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "file")
    with pytest.raises(OSError):
        try_lock(tmp_path / "lock")
    assert not (tmp_path / "file").exists()
