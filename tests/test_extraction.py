from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile

from emotrace.errors import EmotraceError
from emotrace.features import load_feature_set
from emotrace.features.extraction import Request, extract_clip, extract_table
from emotrace.frames import FrameGrid

GRID = FrameGrid(window_s=0.5, hop_s=0.5)
PROVENANCE = {"feature_set": "compare", "code": "0123abc"}


@dataclass
class Extraction:
    clips: pd.DataFrame
    path: Path
    digest: str


def build_clips(folder: Path) -> pd.DataFrame:
    """Write three clips of different length and offset, listed in no order."""
    rows = []
    for clip_id, seconds, offset_s in (("b", 1.5, 0.0), ("10", 2.0, 29.98), ("2", 1.0, 15.0)):
        noise = np.random.default_rng(len(rows)).uniform(-0.5, 0.5, round(seconds * 44_100))
        path = folder / f"{clip_id}.wav"
        soundfile.write(path, noise, 44_100, subtype="PCM_16")
        rows.append((clip_id, str(path), offset_s))
    return pd.DataFrame(rows, columns=["clip_id", "path", "offset_s"])


def extract(clips: pd.DataFrame, path: Path, *, threads: int) -> str:
    return extract_table(
        clips,
        feature_set="compare",
        grid=GRID,
        path=path,
        provenance=PROVENANCE,
        threads=threads,
        memory_mb=2000,
    )


@pytest.fixture(scope="module")
def extraction(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extraction]:
    folder = tmp_path_factory.mktemp("extraction")
    clips = build_clips(folder)
    yield Extraction(clips, folder / "a.parquet", extract(clips, folder / "a.parquet", threads=2))


def test_table_is_sorted_typed_and_says_where_it_comes_from(extraction: Extraction) -> None:
    schema = pq.read_schema(extraction.path)
    features = load_feature_set("compare").column_names()
    assert schema.names == ["clip_id", "time_s", *features]
    types = [str(field.type) for field in schema]
    assert types == ["string", "double", *["float"] * len(features)]
    assert (
        PROVENANCE.items()
        <= {key.decode(): value.decode() for key, value in schema.metadata.items()}.items()
    )

    table = pd.read_parquet(extraction.path)
    times = [("10", 30.0 + n / 2) for n in range(4)] + [("2", 15.0), ("2", 15.5)]
    times += [("b", 0.0), ("b", 0.5), ("b", 1.0)]
    assert list(table[["clip_id", "time_s"]].itertuples(index=False, name=None)) == times


def test_rows_are_those_of_each_clip_alone(extraction: Extraction) -> None:
    table = pd.read_parquet(extraction.path)
    for clip in extraction.clips.itertuples():
        alone = extract_clip(Request("compare", clip.clip_id, clip.path, clip.offset_s, GRID))
        rows = table[table["clip_id"] == clip.clip_id].drop(columns=["clip_id", "time_s"])
        np.testing.assert_array_equal(rows.to_numpy(), alone.values)


def test_number_of_workers_and_order_of_clips_change_nothing(
    extraction: Extraction, tmp_path: Path
) -> None:
    path = tmp_path / "again.parquet"
    assert extract(extraction.clips[::-1], path, threads=1) == extraction.digest
    assert path.read_bytes() == extraction.path.read_bytes()


def test_one_other_sample_changes_the_digest(extraction: Extraction, tmp_path: Path) -> None:
    clips = extraction.clips.copy()
    samples, rate = soundfile.read(clips["path"][2], dtype="int16")
    samples[20_000] += 1000
    soundfile.write(tmp_path / "changed.wav", samples, rate, subtype="PCM_16")
    clips.loc[2, "path"] = str(tmp_path / "changed.wav")
    assert extract(clips, tmp_path / "a.parquet", threads=2) != extraction.digest


def test_vanished_file_is_named_without_a_flood_of_lines(
    extraction: Extraction, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clips = extraction.clips.copy()
    clips.loc[0, "path"] = str(tmp_path / "vanished.wav")
    with pytest.raises(EmotraceError) as refused:
        extract(clips, tmp_path / "a.parquet", threads=2)
    path = tmp_path / "vanished.wav"
    message, hint = str(refused.value).splitlines()
    assert message.startswith(f"clip b ({path}): compare cannot be computed: ")
    assert message.endswith(f"{path}: cannot be read as audio (No such file or directory)")
    assert hint.startswith("hint: ")
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
