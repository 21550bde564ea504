"""One wrong bit, anywhere in what one job writes and another reads, never changes a result."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as dataset
import pytest
import torch

from emotrace.audio.frames import FrameGrid
from emotrace.corpora.exclusion import read_excluded, tabulate_excluded
from emotrace.corpora.files import digest_findings, read_files, read_verified_files
from emotrace.corpora.inspection import inspect_file
from emotrace.corpora.inspections import inspect_audio
from emotrace.corpora.recipe import write_recipe
from emotrace.evaluation.examples import Examples, open_examples, read_attention
from emotrace.evaluation.validation import read_validation
from emotrace.features import recipe as features
from emotrace.features.clip import ClipFrames, Request
from emotrace.features.kept import KeptFrames
from emotrace.features.table import write_table
from emotrace.reruns import checksums
from emotrace.reruns.checksums import write_json
from emotrace.reruns.store import Store
from emotrace.runtime.errors import EmotraceError
from emotrace.training import checkpoint as checkpoints
from emotrace.training import fitting
from emotrace.training.checkpoint import Checkpoint
from emotrace.training.fits import get_fit, name_weights
from emotrace.training.sequences import load_sequences, read_clips
from tests.music import write_noise
from tests.training import list_entries, make_corpus, make_part, make_settings, train, write_inputs

pytestmark = pytest.mark.slow

N_FLIPS = 250
"""Wrong bits that each kind of file is tried with."""

CPU = torch.device("cpu")

Reader = Callable[[], Any]
"""Returns what is read, or None where the caller would make it anew."""


def prepare_feature_table(folder: Path) -> tuple[Path, Reader]:
    """Write the table of two clips as an extraction does, and read it as a training job does."""
    recipe = features.write_recipe("chroma", {"window_s": 0.5, "hop_s": 0.5})
    draw = np.random.default_rng(0)
    clips = [
        (name, ClipFrames(np.arange(4) / 2, draw.random((4, 24), np.float32))) for name in "ab"
    ]
    write_inputs(folder)
    labels = folder / "labels.parquet"
    frame = pd.DataFrame({"clip_id": [*"aaaabbbb"], "time_s": [0.0, 0.5, 1.0, 1.5] * 2})
    checksums.write_table(frame.assign(arousal=0.1, valence=0.2), labels)
    write_table(clips, path := folder / "chroma.parquet", recipe=recipe, excluded=["clip 03"])

    def read() -> Any:
        left = read_clips(folder / "clips.parquet", path)["clip_id"].tolist()
        sequences = load_sequences(path, labels, ["a", "b"])
        return left, sequences.times.tobytes(), sequences.features.tobytes()

    return path, read


def prepare_annotations(folder: Path) -> tuple[Path, Reader]:
    write_inputs(folder)
    path, clip_ids = folder / "annotations.parquet", make_corpus()[0].clip_ids

    def read() -> Any:
        sequences = load_sequences(folder / "table.parquet", path, clip_ids)
        return sequences.labels.tobytes(), sequences.times.tobytes()

    return path, read


def prepare_clips(folder: Path) -> tuple[Path, Reader]:
    write_inputs(folder)
    path = folder / "clips.parquet"
    return path, lambda: read_clips(path, folder / "table.parquet").to_csv()


def prepare_run(folder: Path) -> None:
    train(folder, make_corpus(), name="AT_2", max_epochs=2)


def prepare_history(folder: Path) -> tuple[Path, Reader]:
    prepare_run(folder)
    path = folder / "history.parquet"
    return path, lambda: read_validation(path)


def prepare_predictions(folder: Path) -> tuple[Path, Reader]:
    prepare_run(folder)
    path = folder / "predictions.parquet"
    examples = Examples({}, {"AT_2": path})
    return path, lambda: examples.read_predictions("AT_2", "valence").to_csv()


def prepare_attention(folder: Path) -> tuple[Path, Reader]:
    prepare_run(folder)
    path = folder / "attention.parquet"

    def read() -> Any:
        ((times, weights),) = read_attention(path, "arousal", ["clip 04"]).values()
        return times.tobytes(), weights.tobytes()

    return path, read


def prepare_weights(folder: Path) -> tuple[Path, Reader]:
    entry, read = prepare_fit(folder)
    return name_weights(entry), read


def prepare_fit(folder: Path) -> tuple[Path, Reader]:
    prepare_run(folder)
    store = Store(folder / "store", folder)
    entry = list_entries(store.root)[0]

    return entry, lambda: get_fit(store, entry)


def prepare_clip(folder: Path) -> tuple[Path, Reader]:
    """Keep the frames of a clip as an extraction does."""
    recipe = features.write_recipe("chroma", {"window_s": 0.5, "hop_s": 0.5})
    kept = KeptFrames(Store(folder / "store", folder), recipe)
    request = Request("chroma", "a", "a.wav", 64 * "a", 0.0, FrameGrid(0.5, 0.5))
    clip = ClipFrames(np.arange(3) / 2, np.random.default_rng(0).random((3, 24), np.float32))
    kept.write(request, clip)

    def read() -> Any:
        found = kept.read(request)
        return found and (found.times.tobytes(), found.values.tobytes())

    return kept.locate(request), read


def audio_of(folder: Path) -> str:
    return str(write_noise(folder / "a.wav", 0.02, seed=1))


def prepare_inspection(folder: Path) -> tuple[Path, Reader]:
    audio = audio_of(folder)
    store, recipe = Store(folder / "store", folder), write_recipe()
    path = store.locate(recipe, inspect_audio(audio, store, recipe).sha256)
    # A file that is inspected again because its entry is damaged gives the same.
    return path, lambda: inspect_audio(audio, store, recipe)


def fit(checkpoint: Checkpoint | None = None) -> fitting.Fitted:
    parts = make_part(6, seed=1), make_part(4, seed=2)
    settings = make_settings(dropout=0.3, max_epochs=3, patience=9)
    return fitting.fit_model("AT_2", *parts, settings, 5, checkpoint)


def prepare_checkpoint(folder: Path) -> tuple[Path, Reader]:
    checkpoint = Checkpoint(folder / "checkpoint")
    checkpoint.saved = -checkpoints.INTERVAL_S  # so that the first epoch is kept
    fit(checkpoint)

    def read() -> Any:
        fitted = fit(Checkpoint(checkpoint.path))
        weights = {key: value.tolist() for key, value in fitted.model.state_dict().items()}
        return fitted.history, weights

    return checkpoint.path, read


def prepare_files(folder: Path) -> tuple[Path, Reader]:
    """Write the list of audio files as its job does, and read it as the corpus's job does."""
    inspected = [inspect_file(audio_of(folder))] * 3
    listed = pd.DataFrame({"clip_id": ["1", "2", "3"], "path": "a.wav", "offset_s": 29.98})
    files = pd.concat([listed.assign(size=1, mtime_ns=2), pd.DataFrame(inspected)], axis=1)
    files.to_csv(path := folder / "files.csv", index=False)
    digest = folder / "files.digest"
    digest.write_text(f"{digest_findings(read_files(path))}\n", encoding="utf-8")

    def read() -> Any:
        files = read_verified_files(path, digest, digest_findings)
        return files.drop(columns=["size", "mtime_ns"]).to_csv()

    return path, read


def prepare_number_of_excluded(folder: Path) -> tuple[Path, Reader]:
    rows = [(str(number), f'a "{number}".wav', "silent, or nearly") for number in range(9)]
    tabulate_excluded(rows).to_csv(path := folder / "excluded.csv", index=False)
    return path, lambda: len(read_excluded(path))


def prepare_examples(folder: Path) -> tuple[Path, Reader]:
    path = folder / "examples.json"
    write_json({"clips": ["10", "11"], "best": {"arousal": "AT_64"}}, path)
    return path, lambda: open_examples(path, []).choices


KINDS = [
    prepare_files,
    prepare_number_of_excluded,
    prepare_examples,
    prepare_feature_table,
    prepare_annotations,
    prepare_clips,
    prepare_history,
    prepare_predictions,
    prepare_attention,
    prepare_fit,
    prepare_weights,
    prepare_clip,
    prepare_inspection,
    prepare_checkpoint,
]


@pytest.mark.parametrize("prepare", KINDS, ids=lambda prepare: prepare.__name__[8:])
def test_a_flipped_bit_never_changes_a_result(
    prepare: Callable[[Path], tuple[Path, Reader]], tmp_path: Path
) -> None:
    path, read = prepare(tmp_path)
    intact, expected = path.read_bytes(), read()
    draw = random.Random(7)
    believed = []
    for _ in range(N_FLIPS):
        damaged = bytearray(intact)
        position, bit = draw.randrange(len(intact)), draw.randrange(8)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            found = read()
        except EmotraceError as error:
            assert path.name in str(error) and "hint: " in str(error)
            continue
        if found is not None and found != expected:
            believed.append((position, bit))
    assert believed == []


def test_a_table_with_checksums_is_read_by_whatever_reads_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"clip_id": ["a", "b"], "arousal": [0.25, None], "fold": [1, 2]})
    checksums.write_table(frame, path := tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(path), frame)
    pd.testing.assert_frame_equal(dataset.dataset(path).to_table().to_pandas(), frame)
    pd.testing.assert_frame_equal(checksums.read_table(path), frame)


@pytest.mark.parametrize("size", [0, 3, 11, 100, -1])
def test_truncated_or_foreign_files_are_named(size: int, tmp_path: Path) -> None:
    pd.DataFrame({"a": range(9)}).to_parquet(path := tmp_path / "a.parquet")
    path.write_bytes(path.read_bytes()[: size if size >= 0 else None])
    for read in (checksums.read_table, checksums.read_schema, checksums.open_table):
        with pytest.raises(checksums.DamagedError, match=r"a\.parquet: is damaged.*\nhint: "):
            read(path)


def test_a_fit_starts_again_if_its_checkpoint_cannot_be_used(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    checkpoint.saved = -checkpoints.INTERVAL_S
    expected = fit(checkpoint)
    state = checkpoint.load(CPU)
    assert state is not None
    del state["random"]  # found missing when half of the rest is in place already
    checkpoint.save(state, CPU)
    found = fit(checkpoint)
    assert found.history == expected.history
    for name, weights in expected.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], weights)
