"""Features of a whole corpus: computed once, and the same however they came about."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile

from emotrace.audio.frames import FrameGrid
from emotrace.features import load_feature_set
from emotrace.features import recipe as recipes
from emotrace.features.clip import ClipFrames, Request, UncomputableError, extract_clip
from emotrace.features.extraction import Extraction, extract_table, list_requests
from emotrace.features.kept import KeptFrames
from emotrace.features.recipe import write_recipe
from emotrace.reruns.recipe import Recipe
from emotrace.reruns.store import Store
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.workers import Workers
from tests.music import write_noise

pytestmark = pytest.mark.slow

GRID = FrameGrid(window_s=0.5, hop_s=0.5)
RECIPE = write_recipe("compare", {"window_s": 0.5, "hop_s": 0.5})


@dataclass
class Extracted:
    """Three clips, their table, and the store in which they are kept."""

    files: pd.DataFrame
    table: Path
    store: Path
    result: Extraction


def describe_file(path: Path, clip_id: str, offset_s: float = 0.0) -> dict[str, Any]:
    return {
        "clip_id": clip_id,
        "path": str(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "offset_s": offset_s,
        "duration_s": soundfile.info(path).duration,
    }


def build_files(folder: Path) -> pd.DataFrame:
    """Write three clips of different length and offset, listed in no order."""
    rows = []
    for clip_id, seconds, offset_s in (("b", 1.5, 0.0), ("10", 2.0, 29.98), ("2", 1.0, 15.0)):
        path = write_noise(folder / f"{clip_id}.wav", seconds, seed=len(rows))
        rows.append(describe_file(path, clip_id, offset_s))
    return pd.DataFrame(rows)


def extract(
    files: pd.DataFrame,
    path: Path,
    store: Path,
    *,
    threads: int = 1,
    recipe: Recipe = RECIPE,
) -> Extraction:
    return extract_table(
        files,
        recipe=recipe,
        store=Store(store, path.parent),
        path=path,
        workers=Workers(threads, 2000),
        max_excluded=0.05,
    )


def locate(files: pd.DataFrame, store: Path) -> dict[str, Path]:
    """Return each clip's entry."""
    kept = KeptFrames(Store(store, store.parent), RECIPE)
    return {request.clip_id: kept.locate(request) for request in list_requests(files, RECIPE)}


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Extracted:
    folder = tmp_path_factory.mktemp("extraction")
    files, table, store = build_files(folder), folder / "a.parquet", folder / "store"
    return Extracted(files, table, store, extract(files, table, store, threads=2))


@pytest.fixture
def store(extracted: Extracted, tmp_path: Path) -> Path:
    """Return a store that holds the three clips and may be changed."""
    shutil.copytree(extracted.store, tmp_path / "store")
    return tmp_path / "store"


def test_table_is_sorted_typed_and_says_where_it_comes_from(extracted: Extracted) -> None:
    schema = pq.read_schema(extracted.table)
    features = load_feature_set("compare").column_names()
    assert schema.names == ["clip_id", "time_s", *features]
    types = [str(field.type) for field in schema]
    assert types == ["string", "double", *["float"] * len(features)]
    assert json.loads(schema.metadata[b"emotrace"]) == asdict(RECIPE)

    table = pd.read_parquet(extracted.table)
    times = [("10", 30.0 + n / 2) for n in range(4)] + [("2", 15.0), ("2", 15.5)]
    times += [("b", 0.0), ("b", 0.5), ("b", 1.0)]
    assert list(table[["clip_id", "time_s"]].itertuples(index=False, name=None)) == times


def test_rows_are_those_of_each_clip_alone(extracted: Extracted) -> None:
    table = pd.read_parquet(extracted.table)
    for clip in extracted.files.itertuples():
        alone = extract_clip(
            Request("compare", clip.clip_id, clip.path, clip.sha256, clip.offset_s, GRID)
        )
        rows = table[table["clip_id"] == clip.clip_id].drop(columns=["clip_id", "time_s"])
        np.testing.assert_array_equal(rows.to_numpy(), alone.values)


def test_number_of_workers_and_order_of_clips_change_nothing(
    extracted: Extracted, tmp_path: Path
) -> None:
    path = tmp_path / "again.parquet"
    result = extract(extracted.files[::-1], path, tmp_path / "store", threads=1)
    assert result == Extraction(extracted.result.digest, computed=3, reused=0)
    assert path.read_bytes() == extracted.table.read_bytes()


def test_number_of_row_groups_changes_nothing(
    extracted: Extracted, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotrace.features.table.ROW_GROUP_BYTES", 1)
    path = tmp_path / "a.parquet"
    assert extract(extracted.files, path, store).digest == extracted.result.digest
    assert pq.ParquetFile(path).num_row_groups == 3
    assert pq.read_table(path).equals(pq.read_table(extracted.table))


def test_one_other_sample_computes_its_clip_alone_and_changes_the_digest(
    extracted: Extracted, store: Path, tmp_path: Path
) -> None:
    files = extracted.files.copy()
    samples, rate = soundfile.read(files["path"][2], dtype="int16")
    samples[20_000] += 1000
    soundfile.write(tmp_path / "changed.wav", samples, rate, subtype="PCM_16")
    files.loc[2] = describe_file(tmp_path / "changed.wav", "2", 15.0)
    result = extract(files, tmp_path / "a.parquet", store)
    assert (result.computed, result.reused) == (1, 2)
    assert result.digest != extracted.result.digest


def test_vanished_file_is_named_without_a_flood_of_lines(
    extracted: Extracted, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = extracted.files.copy()
    files.loc[0, "path"] = str(tmp_path / "vanished.wav")
    with pytest.raises(EmotraceError) as refused:
        extract(files, tmp_path / "a.parquet", tmp_path / "store", threads=2)
    path = tmp_path / "vanished.wav"
    message, hint = str(refused.value).splitlines()
    assert message.startswith(f"clip b ({path}): compare cannot be computed: ")
    assert message.endswith(f"{path}: cannot be read as audio (No such file or directory)")
    assert hint.startswith("hint: ")
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


# What is in the store is not computed again, and never taken for something else.


def test_the_same_audio_is_not_computed_again_even_if_it_is_gone(
    extracted: Extracted, store: Path, tmp_path: Path
) -> None:
    files = extracted.files.assign(path=str(tmp_path / "elsewhere.wav"))
    result = extract(files, tmp_path / "a.parquet", store)
    assert result == Extraction(extracted.result.digest, computed=0, reused=3)
    assert (tmp_path / "a.parquet").read_bytes() == extracted.table.read_bytes()


def test_only_added_clips_with_new_audio_are_computed(
    extracted: Extracted, store: Path, tmp_path: Path
) -> None:
    new = write_noise(tmp_path / "new.wav", 1.0, seed=9)
    added = [
        describe_file(new, "new"),
        describe_file(shutil.copy(new, tmp_path / "twin.wav"), "twin"),
        describe_file(new, "later", offset_s=0.5),
        describe_file(Path(extracted.files["path"][0]), "b again"),
    ]
    files = pd.concat([extracted.files, pd.DataFrame(added)])
    result = extract(files, tmp_path / "a.parquet", store)
    assert (result.computed, result.reused) == (2, 5)
    entries = locate(files, store)
    assert entries["new"] == entries["twin"] != entries["later"]
    assert entries["b"] == entries["b again"]

    clips = dict(iter(pd.read_parquet(tmp_path / "a.parquet").groupby("clip_id")))
    for one, other in (("new", "twin"), ("b", "b again")):
        pd.testing.assert_frame_equal(
            *(clips[clip].drop(columns="clip_id").reset_index(drop=True) for clip in (one, other))
        )
    assert clips["later"]["time_s"].tolist() == [0.5, 1.0]


def truncate(entry: Path, _: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-20_000])


def empty(entry: Path, _: Path) -> None:
    entry.write_bytes(b"")


def exchange(entry: Path, other: Path) -> None:
    shutil.copy(other, entry)


@pytest.mark.parametrize("damage", [truncate, empty, exchange])
def test_a_damaged_entry_is_computed_again(
    extracted: Extracted, store: Path, tmp_path: Path, damage: Any
) -> None:
    entries = locate(extracted.files, store)
    intact = entries["2"].read_bytes()
    damage(entries["2"], entries["10"])
    assert entries["2"].read_bytes() != intact
    result = extract(extracted.files, tmp_path / "a.parquet", store)
    assert result == Extraction(extracted.result.digest, computed=1, reused=2)
    assert (tmp_path / "a.parquet").read_bytes() == extracted.table.read_bytes()
    assert entries["2"].read_bytes() == intact


@pytest.mark.parametrize("bit", [3, 7])
def test_a_flipped_bit_anywhere_never_gives_other_frames(bit: int, tmp_path: Path) -> None:
    kept = KeptFrames(Store(tmp_path, tmp_path), RECIPE)
    request = Request("compare", "a", "a.wav", 64 * "a", 0.0, GRID)
    clip = ClipFrames(np.arange(3) / 2, np.arange(6, dtype=np.float32).reshape(3, 2))
    kept.write(request, clip)
    entry = kept.locate(request)
    intact = entry.read_bytes()
    n_refused = 0
    for position in range(len(intact)):
        damaged = bytearray(intact)
        damaged[position] ^= 1 << bit
        entry.write_bytes(damaged)
        found = kept.read(request)
        if found is None:
            n_refused += 1
        else:  # the bit means nothing
            np.testing.assert_array_equal(found.times, clip.times)
            np.testing.assert_array_equal(found.values, clip.values)
    assert n_refused > len(intact) / 2


@pytest.mark.parametrize(
    "other",
    [
        {"code": "4567def"},
        {"libraries": {"opensmile": "2.6.1"}},
        {"settings": {"window_s": 1.0, "hop_s": 0.5}},
    ],
)
def test_other_code_libraries_or_frames_share_nothing(
    extracted: Extracted, store: Path, other: dict[str, Any]
) -> None:
    recipe = replace(RECIPE, **other)
    theirs = KeptFrames(Store(store, store.parent), recipe)
    requests = list_requests(extracted.files, recipe)
    assert not any(theirs.locate(request).exists() for request in requests)
    folder = store / "features/compare"
    shutil.copytree(folder / RECIPE.key, folder / recipe.key)  # not even if someone moves them
    assert all(theirs.locate(request).exists() for request in requests)
    assert not any(theirs.read(request) for request in requests)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        # As if it was edited before the workers imported it.
        ({"code": "4567def"}, r"compare: its code was edited.*\nhint: "),
        # As if the workers were on a machine with another version.
        ({"libraries": {"opensmile": "1.0"}}, r"needs opensmile 1\.0, and .* has .*\nhint: "),
    ],
)
def test_features_of_changed_code_or_libraries_are_not_kept(
    extracted: Extracted, tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    planned = replace(RECIPE, **other)
    with pytest.raises(EmotraceError, match=message):
        extract(extracted.files, tmp_path / "a.parquet", tmp_path / "store", recipe=planned)
    assert not list(tmp_path.glob("store/features/*/*/*/*"))


def test_a_file_that_was_replaced_since_it_was_inspected_is_refused(tmp_path: Path) -> None:
    files = build_files(tmp_path)
    write_noise(Path(files["path"][0]), 1.5, seed=7)
    with pytest.raises(EmotraceError, match=r"clip b .*not the file that it was.*\nhint: "):
        extract(files, tmp_path / "a.parquet", tmp_path / "store")
    entries = locate(files, tmp_path / "store")
    assert [clip for clip, entry in entries.items() if entry.exists()] == ["10", "2"]

    files.loc[0] = describe_file(Path(files["path"][0]), "b")
    result = extract(files, tmp_path / "a.parquet", tmp_path / "store")
    assert (result.computed, result.reused) == (1, 2)  # what was finished before the end is kept


@pytest.mark.parametrize(
    ("failure", "is_of_the_clip"),
    [
        (ValueError("odd"), True),
        (IndexError("odd"), True),
        (MemoryError("odd"), True),
        (FileNotFoundError(2, "odd"), False),  # such as the weights of a network
        (ImportError("odd"), False),
        (EmotraceError("odd", hint="install it"), False),
    ],
)
def test_only_errors_caused_by_a_clip_exclude_it(
    failure: Exception,
    is_of_the_clip: bool,
    extracted: Extracted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(sound: Any) -> None:
        raise failure

    request = list_requests(extracted.files, RECIPE)[0]
    monkeypatch.setattr(load_feature_set("compare"), "extract_frames", fail)
    with pytest.raises(EmotraceError, match="odd") as refused:
        extract_clip(request)
    assert isinstance(refused.value, UncomputableError) == is_of_the_clip
    assert is_of_the_clip or f"clip {request.clip_id} ({request.path}): compare" in str(
        refused.value
    )


def test_an_entry_that_cannot_be_repaired_is_left_out_next_time(
    extracted: Extracted, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(sound: Any) -> None:
        raise ValueError("odd")

    entry = locate(extracted.files, store)["2"]
    entry.write_bytes(b"")
    monkeypatch.setattr(load_feature_set("compare"), "extract_frames", fail)
    compiled = "emotrace.features.extraction.compile_functions"
    monkeypatch.setattr(compiled, lambda *_: None)
    with pytest.raises(EmotraceError, match=r"clip 2 .*any more: ValueError: odd\nhint: "):
        extract(extracted.files, tmp_path / "a.parquet", store)
    assert not entry.exists()


def test_two_extractions_at_once_may_share_a_store(extracted: Extracted, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        running = [
            pool.submit(extract, extracted.files, folder / "a.parquet", tmp_path / "store")
            for folder in folders
        ]
        results = [job.result() for job in running]
    for folder, result in zip(folders, results, strict=True):
        assert result.digest == extracted.result.digest
        assert (folder / "a.parquet").read_bytes() == extracted.table.read_bytes()
    assert not list((tmp_path / "store").rglob("*/.*"))


def test_libraries_without_their_comma_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "ROOT", tmp_path)
    (tmp_path / "mine.py").write_text('LIBRARIES = ("librosa")\n', encoding="utf-8")
    with pytest.raises(EmotraceError, match="does not say which LIBRARIES"):
        recipes._read_libraries("mine.py")
    (tmp_path / "mine.py").write_text('LIBRARIES = ("librosa",)\n', encoding="utf-8")
    assert recipes._read_libraries("mine.py") == ("librosa",)
