"""Features and annotations are joined frame by frame, in the order of clips and columns."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotrace.reruns.checksums import seal_table, write_table
from emotrace.runtime.errors import EmotraceError
from emotrace.training.sequences import _read_rows, load_sequences


def write_feature_table(path: Path, clips: dict[str, list[float]]) -> None:
    """Write one row per frame whose values are its clip's number and its own number."""
    rows = [
        (clip_id, time, clip, frame)
        for clip, (clip_id, times) in enumerate(clips.items())
        for frame, time in enumerate(times)
    ]
    columns = list(zip(*rows, strict=True))
    table = {"clip_id": columns[0], "time_s": pa.array(columns[1], pa.float64())}
    table |= {name: pa.array(columns[n], pa.float32()) for n, name in ((2, "b"), (3, "a"))}
    pq.write_table(pa.table(table), path, row_group_size=4)
    seal_table(path)


def write_annotations(path: Path, clips: dict[str, list[float]]) -> None:
    rows = [(clip_id, time) for clip_id, times in clips.items() for time in times]
    table = pd.DataFrame(rows, columns=["clip_id", "time_s"])
    table["valence"] = np.arange(len(table)) / 100
    table["arousal"] = -table["valence"]
    write_table(table.assign(arousal_std=0.0, valence_std=0.0), path)


@pytest.mark.parametrize("error", [0.0, 1e-6, -1e-6, 4e-4, "float32", "decimal"])
def test_frames_are_joined_in_spite_of_rounded_times(error: float | str, tmp_path: Path) -> None:
    exact = [(n + 150) / 10 for n in range(9)]
    written = {
        "float32": [float(np.float32(time)) for time in exact],
        "decimal": [15 + n * 0.1 for n in range(9)],
    }
    times = written[error] if isinstance(error, str) else [time + error for time in exact]
    write_feature_table(tmp_path / "features.parquet", {"x": exact, "y": exact[:6]})
    write_annotations(tmp_path / "annotations.parquet", {"y": times, "x": times})
    sequences = load_sequences(
        tmp_path / "features.parquet", tmp_path / "annotations.parquet", ["y", "x"]
    )
    assert sequences.valid.sum(axis=1).tolist() == [6, 9]
    assert sequences.times[1].tolist() == times  # so that predictions find their truth again


def test_sequences_keep_the_order_of_clips_frames_and_columns(tmp_path: Path) -> None:
    times = [15.0, 15.5, 16.0, 16.5, 17.0]
    clips = {"x": times, "y": times[:3], "z": times[1:], "unused": times}
    write_feature_table(tmp_path / "features.parquet", clips)
    backwards = {clip_id: times[::-1] for clip_id in ("x", "y", "z", "unannotated")}
    write_annotations(tmp_path / "annotations.parquet", backwards)
    sequences = load_sequences(
        tmp_path / "features.parquet", tmp_path / "annotations.parquet", ["z", "x", "y"]
    )
    assert sequences.clip_ids == ["z", "x", "y"]
    assert sequences.valid.astype(int).tolist() == [[1, 1, 1, 1, 0], [1] * 5, [1, 1, 1, 0, 0]]
    assert sequences.times[0].tolist() == [15.5, 16.0, 16.5, 17.0, 0.0]
    assert sequences.features[0].tolist() == [[2, 0], [2, 1], [2, 2], [2, 3], [0, 0]]
    assert sequences.features[1, :, 0].tolist() == [0] * 5
    arousal, valence = sequences.labels[2].T
    np.testing.assert_allclose(valence, [0.09, 0.08, 0.07, 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(arousal, -valence)


def test_the_table_is_never_held_beside_the_sequences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_clips, n_features = 50, 300
    times = [frame / 2 for frame in range(30)]
    clips = {f"clip {number:02}": times for number in range(n_clips)}
    values = np.random.default_rng(4).random((n_features, n_clips * len(times)), np.float32)
    table = {"clip_id": np.repeat(list(clips), len(times)), "time_s": n_clips * times}
    table |= {f"feature {number}": column for number, column in enumerate(values)}
    pq.write_table(pa.table(table), tmp_path / "f.parquet", row_group_size=70)
    seal_table(tmp_path / "f.parquet")
    write_annotations(tmp_path / "a.parquet", clips)
    load_sequences(tmp_path / "f.parquet", tmp_path / "a.parquet", list(clips))  # imports
    # numpy's memory is traced; Arrow's is not, and is looked at whenever rows were read.
    held = [pa.total_allocated_bytes()]

    def read_rows(*arguments: Any) -> np.ndarray:
        rows = _read_rows(*arguments)
        held.append(pa.total_allocated_bytes())
        return rows

    monkeypatch.setattr("emotrace.training.sequences._read_rows", read_rows)
    tracemalloc.start()
    sequences = load_sequences(tmp_path / "f.parquet", tmp_path / "a.parquet", list(clips))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(sequences.features.reshape(-1, n_features), values.T)
    assert len(held) > 2
    assert peak + max(held) - held[0] < 1.5 * values.nbytes


@pytest.mark.parametrize("missing", ["features", "annotations", "common frames"])
def test_a_clip_without_annotated_frames_is_named(missing: str, tmp_path: Path) -> None:
    both = {"here": [15.0, 15.5], "lonely 7": [15.0, 15.5]}
    one = {"here": [15.0, 15.5]}
    other = {**one, "lonely 7": [15.25, 15.75]} if missing == "common frames" else one
    write_feature_table(tmp_path / "f.parquet", both if missing != "features" else other)
    write_annotations(tmp_path / "a.parquet", both if missing == "features" else other)
    with pytest.raises(EmotraceError, match=r"f\.parquet.*1 clips?, lonely 7"):
        load_sequences(tmp_path / "f.parquet", tmp_path / "a.parquet", ["here", "lonely 7"])


def test_a_frame_annotated_twice_is_refused(tmp_path: Path) -> None:
    write_feature_table(tmp_path / "f.parquet", {"a": [0.0, 0.5], "b": [0.0, 0.5]})
    write_annotations(tmp_path / "a.parquet", {"a": [0.0, 0.5], "b": [0.0, 0.5, 0.5008]})
    with pytest.raises(EmotraceError, match=r"clip b is annotated twice in the frame at 0\.5"):
        load_sequences(tmp_path / "f.parquet", tmp_path / "a.parquet", ["a", "b"])
