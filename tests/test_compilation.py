"""Where jobs keep what numba compiled, on disks with locks and without."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emotrace.audio.frames import FrameGrid
from emotrace.features import compilation
from tests.workflow import ROOT


def lack_locks(number: int) -> Callable[[pytest.MonkeyPatch, Path], None]:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    def patch(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
        monkeypatch.setattr(fcntl, "flock", fail)

    return patch


def hide_home(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    def fail() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)


def name_unwritable_cache(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    # A folder to which not even root, who may be running this, can write.
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/self")


def put_file_in_place_of_cache(_: pytest.MonkeyPatch, home: Path) -> None:
    (home / ".cache").touch()


@pytest.fixture
def compiled_in(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where numba would have kept what it compiled, instead of compiling it."""
    folders: list[Path] = []

    def note_folder(_: object) -> None:
        folders.append(Path(os.environ["NUMBA_CACHE_DIR"]))

    fake = SimpleNamespace(extract_frames=note_folder)
    monkeypatch.setattr(compilation, "load_feature_set", lambda _: fake)
    return folders


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def compile_once() -> None:
    compilation.compile_functions.__wrapped__("chroma", FrameGrid(0.5, 0.5))


def test_what_is_compiled_is_shared_by_the_jobs_of_a_user(
    home: Path, compiled_in: list[Path]
) -> None:
    compile_once()
    compile_once()
    assert compiled_in[0] == compiled_in[1]
    assert home in compiled_in[0].parents


@pytest.mark.parametrize(
    "hinder",
    [
        lack_locks(errno.ENOSYS),
        lack_locks(errno.ENOLCK),
        lack_locks(errno.EOPNOTSUPP),
        hide_home,
        name_unwritable_cache,
        put_file_in_place_of_cache,
    ],
    ids=["ENOSYS", "ENOLCK", "EOPNOTSUPP", "no home", "read-only", "no folder"],
)
def test_a_job_compiles_for_itself_if_no_folder_can_be_shared(
    hinder: Callable[[pytest.MonkeyPatch, Path], None],
    home: Path,
    compiled_in: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hinder(monkeypatch, home)
    compile_once()
    (folder,) = compiled_in
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o077 == 0
    assert home not in folder.parents


def test_nothing_of_ours_needs_fcntl_to_be_imported() -> None:
    code = "import sys; sys.modules['fcntl'] = None\n"
    code += "import emotrace.features.compilation, emotrace.training.devices"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
