"""Extraction writes the same table however many workers share it, and names a clip that fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from emotrace.errors import EmotraceError
from emotrace.features import load_feature_set
from emotrace.features.extraction import Request, extract_clip, extract_table
from emotrace.frames import FrameGrid

RATE = 44_100
GRID = FrameGrid(window_s=0.5, hop_s=0.5)
PROVENANCE = {"feature_set": "chroma", "frames": json.dumps({"hop_s": 0.5})}

TIMES = {  # beginnings of the frames that the audio covers
    "10": [30.0, 30.5, 31.0, 31.5],
    "2": [0.0, 0.5, 1.0, 1.5],
    "9": [0.5, 1.0, 1.5],
}
"""In order of the ids as text."""


def extract(folder: Path, clips: pd.DataFrame, threads: int) -> tuple[str, Path]:
    table = folder / f"{threads}.parquet"
    digest = extract_table(
        clips,
        feature_set="chroma",
        grid=GRID,
        path=table,
        provenance=PROVENANCE,
        threads=threads,
        memory_mb=3000,
    )
    return digest, table


@pytest.fixture(scope="module")
def make_clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., pd.DataFrame]:
    """Write two seconds of noise per clip; its sound hangs on its number in `sounds`."""

    def write(**sounds: int) -> pd.DataFrame:
        folder = tmp_path_factory.mktemp("audio")
        rows = []
        for clip_id, offset_s in {"9": 0.1, "10": 30.0, "2": 0.0}.items():
            number = sounds.get(f"clip_{clip_id}", int(clip_id))
            noise = np.random.default_rng(number).normal(0, 0.1, 2 * RATE)
            path = folder / f"{clip_id}.wav"
            soundfile.write(path, noise, RATE)
            rows.append({"clip_id": clip_id, "path": str(path), "offset_s": offset_s})
        return pd.DataFrame(rows)

    return write


@pytest.fixture(scope="module")
def clips(make_clips: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_clips()


@pytest.fixture(scope="module")
def extracted(clips: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return extract(tmp_path_factory.mktemp("two"), clips, threads=2)


def test_table_is_sorted_by_clip_and_time(extracted: tuple[str, Path]) -> None:
    table = pd.read_parquet(extracted[1])
    expected = [(clip_id, time) for clip_id, times in TIMES.items() for time in times]
    assert list(zip(table["clip_id"], table["time_s"], strict=True)) == expected


def test_schema_and_metadata_are_as_documented(extracted: tuple[str, Path]) -> None:
    schema = pq.read_schema(extracted[1])
    names = load_feature_set("chroma").column_names()
    assert schema.names == ["clip_id", "time_s", *names]
    assert schema.types == [pa.string(), pa.float64(), *[pa.float32()] * len(names)]
    assert {key.decode(): value.decode() for key, value in schema.metadata.items()} == PROVENANCE


def test_rows_hold_the_values_of_their_clip(
    clips: pd.DataFrame, extracted: tuple[str, Path]
) -> None:
    table = pd.read_parquet(extracted[1])
    for clip in clips.itertuples():
        alone = extract_clip(Request("chroma", clip.clip_id, clip.path, clip.offset_s, GRID))
        assert alone.times.tolist() == TIMES[clip.clip_id]
        rows = table[table["clip_id"] == clip.clip_id].iloc[:, 2:].to_numpy()
        np.testing.assert_allclose(rows, alone.values, rtol=1e-5)


def test_digest_hangs_on_content_not_on_the_number_of_workers(
    clips: pd.DataFrame, extracted: tuple[str, Path], tmp_path: Path
) -> None:
    digest, table = extract(tmp_path, clips.sort_values("path"), threads=1)
    assert digest == extracted[0]
    pd.testing.assert_frame_equal(pd.read_parquet(table), pd.read_parquet(extracted[1]))


def test_digest_changes_with_the_sound_of_one_clip(
    make_clips: Callable[..., pd.DataFrame], extracted: tuple[str, Path], tmp_path: Path
) -> None:
    digest, table = extract(tmp_path, make_clips(clip_2=99), threads=1)
    assert digest != extracted[0]
    before, after = (pd.read_parquet(path).set_index("clip_id") for path in (extracted[1], table))
    changed = (before != after).any(axis=1)
    assert set(changed[changed].index) == {"2"}


def test_vanished_file_names_the_clip_in_few_lines(
    make_clips: Callable[..., pd.DataFrame], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clips = make_clips()
    vanished = Path(clips.set_index("clip_id").loc["2", "path"])
    vanished.unlink()
    with pytest.raises(EmotraceError) as caught:
        extract(tmp_path, clips, threads=2)
    message = str(caught.value)
    assert message.startswith(f"clip 2 ({vanished}): chroma cannot be computed: ")
    assert "\nhint: " in message
    output = capfd.readouterr()
    assert "distributed" not in output.out + output.err
