"""A corpus's audio counts as changed when it is another, and not when its time stamps are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from emotrace.corpora import inspection as inspection
from emotrace.corpora import inspections
from emotrace.corpora.files import FILES, digest_audio, read_files, select_usable
from emotrace.corpora.inspection import inspect_file
from emotrace.corpora.listing import LISTING, Changes, digest_listing, find_changes, list_files
from emotrace.corpora.manifest import Corpus
from emotrace.corpora.recipe import write_recipe
from emotrace.reruns.store import open_store
from emotrace.runtime.errors import EmotraceError
from tests.music import write_noise

CORPUS = Corpus("music/clips.csv")
CLIPS = {"007": 0.0, "NA": 15.0, "é, 1": 0.1 + 0.2, "gone": 0.0}
"""Ids and offsets; the last file does not exist."""


def write_clips(clips: dict[str, float]) -> None:
    rows = [f'"{clip_id}","{clip_id}.wav",{offset_s!r}' for clip_id, offset_s in clips.items()]
    text = "\n".join(["clip_id,path,offset_s", *rows])
    Path(CORPUS.clips).write_text(text, encoding="utf-8")


def inspect() -> str:
    """Do as the workflow does, and return the digest of the audio."""
    planned, listed = digest_listing(CORPUS), pd.DataFrame(list_files(CORPUS))
    inspected = pd.DataFrame([asdict(inspect_file(path)) for path in listed["path"]])
    FILES.parent.mkdir(parents=True, exist_ok=True)
    listed.join(inspected).to_csv(FILES, index=False)
    LISTING.write_text(f"{planned}\n", encoding="utf-8")
    return digest_audio(read_files(FILES))


@pytest.fixture(autouse=True)
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a corpus that was inspected, and work in the folder that it lies in."""
    monkeypatch.chdir(tmp_path)
    Path("music").mkdir()
    write_clips(CLIPS)
    for seed, clip_id in enumerate(list(CLIPS)[:-1]):
        write_noise(Path(f"music/{clip_id}.wav"), 0.1, seed)
    inspect()
    return Path("music")


def touch(music: Path) -> None:
    os.utime(music / "007.wav", (1, 1))


def copy_anew(music: Path) -> None:
    shutil.copytree(music, "copy")
    shutil.rmtree(music)
    Path("copy").rename(music)
    touch(music)


def move_working_folder(music: Path) -> None:
    here = Path.cwd()
    os.chdir("/")
    os.chdir(here.rename(here.with_name("moved")))


@pytest.mark.parametrize("change", [lambda _: None, touch, copy_anew, move_working_folder])
def test_the_same_audio_has_the_same_digest(music: Path, change: Callable[[Path], None]) -> None:
    before = digest_listing(CORPUS)
    change(music)
    assert digest_listing(CORPUS) == before
    assert find_changes(CORPUS) == Changes([], [], [])


def replace(music: Path, mtime_change_ns: int) -> None:
    """Write other audio of the same length, dated from the old file."""
    file = music / "NA.wav"
    before = file.stat()
    write_noise(file, 0.1, seed=9)
    assert file.stat().st_size == before.st_size
    mtime_ns = before.st_mtime_ns + mtime_change_ns
    os.utime(file, ns=(mtime_ns, mtime_ns))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda music: replace(music, 1), Changes([], [], ["NA"])),
        (lambda music: replace(music, -(10**12)), Changes([], [], ["NA"])),
        (lambda music: (music / "NA.wav").unlink(), Changes([], [], ["NA"])),
        (lambda music: (music / "007.wav").write_bytes(b""), Changes([], [], ["007"])),
        (
            lambda music: shutil.copy(music / "NA.wav", music / "gone.wav"),
            Changes([], [], ["gone"]),
        ),
        (lambda _: write_clips({**CLIPS, "NA": 15.5}), Changes([], [], ["NA"])),
        (lambda _: write_clips({**CLIPS, "new": 0.0}), Changes(["new"], [], [])),
        (lambda _: write_clips({"007": 0.0}), Changes([], list(CLIPS)[1:], [])),
    ],
)
def test_other_audio_has_another_digest_and_is_named(
    music: Path, change: Callable[[Path], Any], expected: Changes
) -> None:
    before = digest_listing(CORPUS)
    change(music)
    assert digest_listing(CORPUS) != before
    assert find_changes(CORPUS) == expected
    inspect()
    assert find_changes(CORPUS) == Changes([], [], [])
    assert digest_listing(CORPUS) == digest_listing(CORPUS) != before


def test_a_file_that_may_now_be_read_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        # Nothing is forbidden to root, who may be running this.
        patched.setattr(os, "access", lambda path, _: not path.endswith("NA.wav"))
        denied = digest_listing(CORPUS)
        inspect()
        assert digest_listing(CORPUS) == denied
    assert digest_listing(CORPUS) != denied
    assert find_changes(CORPUS) == Changes([], [], ["NA"])


def test_files_are_read_as_they_were_inspected() -> None:
    files = read_files(FILES)
    assert files["clip_id"].tolist() == list(CLIPS)
    assert files["offset_s"].tolist() == list(CLIPS.values())
    assert files["path"].tolist() == [f"music/{clip_id}.wav" for clip_id in CLIPS]
    assert files["problem"].tolist() == ["", "", "", "missing file"]
    assert select_usable(files)["clip_id"].tolist() == list(CLIPS)[:-1]


def test_a_digest_that_would_lead_out_of_the_store_is_refused() -> None:
    digest = read_files(FILES)["sha256"][0]
    FILES.write_text(FILES.read_text(encoding="utf-8").replace(digest, "../../../x"))
    with pytest.raises(EmotraceError, match="files.csv: the sha256 '../../../x' .*\nhint: delete"):
        read_files(FILES)


def test_audio_digest_depends_only_on_usable_content_and_offsets(music: Path) -> None:
    before = inspect()
    write_clips(dict(reversed(CLIPS.items())))
    touch(music)
    (music / "gone.wav").touch()
    assert inspect() == before
    write_clips({**CLIPS, "NA": 15.5})
    assert inspect() != before
    write_clips(CLIPS)
    write_noise(music / "NA.wav", 0.1, seed=9)
    assert inspect() != before


def test_a_pipe_in_place_of_a_file_is_not_waited_for(music: Path) -> None:
    (music / "gone.wav").symlink_to("pipe")
    os.mkfifo(music / "pipe")
    inspect()
    before = digest_listing(CORPUS)
    os.utime(music / "pipe", (1, 1))  # planning looks into files whose time stamps are new
    assert digest_listing(CORPUS) == before


def inspect_into(store: str, path: str) -> inspection.Inspection:
    return inspections.inspect_audio(path, open_store(store), write_recipe())


def test_the_same_bytes_are_decoded_once(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(music / "NA.wav")
    inspected = inspect_into("store", path)
    assert inspected == inspect_file(path)
    with monkeypatch.context() as patched:
        patched.delattr(inspection, "decode_audio")
        assert inspect_into("store", shutil.copy(path, "copy.wav")) == inspected
    entry = open_store("store").locate(write_recipe(), inspected.sha256)
    entry.write_text("{", encoding="utf-8")
    assert inspect_into("store", path) == inspected


def test_a_second_working_folder_that_shares_the_store_decodes_nothing(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, shared = os.path.abspath(music / "NA.wav"), str(tmp_path / "shared")
    inspected = inspect_into(shared, path)
    monkeypatch.delattr(inspection, "decode_audio")
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "second")
    assert inspect_into(shared, path) == inspected


def test_a_file_replaced_while_it_is_inspected_spoils_no_entry(
    music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = music / "NA.wav"
    expected, content = inspect_file(str(path)), path.read_bytes()
    decode = inspection.decode_audio

    def replace_and_decode(*arguments: Any, **rest: Any) -> Any:
        write_noise(path, 0.1, seed=9)
        return decode(*arguments, **rest)

    with monkeypatch.context() as patched:
        patched.setattr(inspection, "decode_audio", replace_and_decode)
        inspect_into("store", str(path))
    path.write_bytes(content)
    assert inspect_into("store", str(path)) == expected
