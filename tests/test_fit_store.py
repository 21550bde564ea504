"""What is in the store is not fitted again, and never taken for something else."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from emotrace import TARGETS
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.folds import make_folds
from emotrace.splits.protocol import Protocol
from emotrace.training import checkpoint, fold, job
from emotrace.training.fold import Fit, FoldData
from emotrace.training.sequences import Sequences
from tests.training import lengthen_padding, list_entries, make_corpus, read_run, train


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return the target and seed of every fit that is made from now on."""
    made = []

    def run_fit(name: str, sequences: Sequences, data: FoldData, target: str, **rest: Any) -> Fit:
        made.append((target, rest["seed"]))
        return fold.run_fit(name, sequences, data, target, **rest)

    monkeypatch.setattr(job, "run_fit", run_fit)
    return made


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run with two seeds; its store lies below it."""
    folder = tmp_path_factory.mktemp("trained")
    train(folder, make_corpus(), seeds=(1, 2))
    return folder


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Path:
    """Return a store that holds the fits of two seeds and may be changed."""
    shutil.copytree(trained / "store", tmp_path / "store")
    return tmp_path / "store"


def test_a_second_run_fits_nothing_and_leaves_the_same(
    trained: Path, store: Path, tmp_path: Path, fits: list[tuple[str, int]]
) -> None:
    train(tmp_path / "again", make_corpus(), seeds=(1, 2), store=store)
    assert fits == []
    assert read_run(tmp_path / "again") == read_run(trained)


def test_an_added_seed_makes_its_fits_alone(
    trained: Path, store: Path, tmp_path: Path, fits: list[tuple[str, int]]
) -> None:
    predictions = train(tmp_path / "more", make_corpus(), seeds=(1, 2, 3), store=store)
    assert fits == [(target, 3) for target in TARGETS]
    before = pd.read_parquet(trained / "predictions.parquet")
    assert predictions[predictions["seed"] < 3].equals(before)
    assert set(predictions["seed"]) == {1, 2, 3}


@pytest.mark.parametrize(
    ("protocol", "part", "made"),
    [
        ("official", "training", ["arousal"]),
        ("official", "validation", ["arousal"]),
        ("official", "test", []),
        ("paper", "test", 3 * ["arousal"]),
    ],
)
def test_a_changed_label_makes_the_fits_that_heard_it(
    protocol: str, part: str, made: list[str], tmp_path: Path, fits: list[tuple[str, int]]
) -> None:
    sequences, clips = make_corpus()
    train(tmp_path, (sequences, clips), protocol=protocol, name="LSTM_2", max_epochs=1)
    folds = make_folds(clips, Protocol(protocol, 3, 0.3), seed=1)
    (row,) = sequences.find_clips(getattr(folds[0], part)[:1])
    sequences.labels[row, 2, TARGETS.index("arousal")] += 0.01
    fits.clear()
    train(tmp_path, (sequences, clips), protocol=protocol, name="LSTM_2", max_epochs=1)
    assert [target for target, _ in fits] == made


@pytest.mark.parametrize(
    "change", [{"name": "BAT_4"}, {"learning_rate": 0.002}, {"protocol": "artist"}]
)
def test_another_model_setting_or_division_shares_nothing(
    store: Path, tmp_path: Path, fits: list[tuple[str, int]], change: dict[str, Any]
) -> None:
    train(tmp_path / "other", make_corpus(), store=store, **change)
    assert len(fits) == (6 if "protocol" in change else 2)


@pytest.mark.parametrize("part", ["training", "validation", "test"])
def test_any_other_feature_makes_all_fits(
    store: Path, tmp_path: Path, fits: list[tuple[str, int]], part: str
) -> None:
    sequences, clips = make_corpus()
    (fold_,) = make_folds(clips, Protocol("official", 3, 0.3), seed=1)
    (row,) = sequences.find_clips(getattr(fold_, part)[:1])
    sequences.features[row, 0, 0] += 0.01
    train(tmp_path / "other", (sequences, clips), store=store)
    assert len(fits) == 2


def test_neither_fits_nor_checkpoints_of_changed_code_are_kept(
    tmp_path: Path, fits: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotrace.training.checkpoint.INTERVAL_S", 0.0)
    with pytest.raises(EmotraceError, match=r"AT_4: its code was edited.*\nhint: "):
        train(tmp_path, make_corpus(), code="4567def", max_epochs=1)
    assert (fits, list_entries(tmp_path / "store")) == ([], [])


def test_a_fit_that_may_not_be_read_is_left_alone(
    store: Path, tmp_path: Path, fits: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", "another user's file")

    before = read_run(store / "fits")
    with monkeypatch.context() as patched, pytest.raises(EmotraceError, match="cannot be read"):
        patched.setattr("emotrace.reruns.store.read_bytes", refuse)
        train(tmp_path / "again", make_corpus(), seeds=(1, 2), store=store)
    assert (fits, read_run(store / "fits")) == ([], before)


def test_fits_are_those_of_an_empty_store_though_the_padding_grew(tmp_path: Path) -> None:
    sequences, clips = make_corpus()
    store = tmp_path / "store"
    train(tmp_path / "short", (sequences, clips), name="Transformer_1", store=store)
    longer = lengthen_padding(sequences), clips
    anew = train(tmp_path / "anew", longer, name="Transformer_1")
    assert train(tmp_path / "kept", longer, name="Transformer_1", store=store).equals(anew)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip_bit, Path.unlink])
@pytest.mark.parametrize("suffix", ["", ".safetensors"])
def test_a_damaged_fit_is_made_again(
    trained: Path,
    store: Path,
    tmp_path: Path,
    fits: list[tuple[str, int]],
    suffix: str,
    damage: Callable[[Path], None],
) -> None:
    damage(list_entries(store)[0].with_suffix(suffix))
    train(tmp_path / "again", make_corpus(), seeds=(1, 2), store=store)
    assert len(fits) == 1
    assert read_run(tmp_path / "again") == read_run(trained)


def test_fits_that_diverge_are_named_and_the_others_are_kept(
    tmp_path: Path, fits: list[tuple[str, int]]
) -> None:
    sequences, clips = make_corpus()
    sequences.labels[..., TARGETS.index("arousal")] *= 1e30  # its square is more than float32 holds
    for made in (12, 6):  # the second time, the other target's fits are there
        fits.clear()
        with pytest.raises(EmotraceError) as refused:
            train(tmp_path, (sequences, clips), protocol="artist", seeds=(1, 2), name="LSTM_2")
        assert len(fits) == made
        said, hint = str(refused.value).split("\nhint: ")
        assert said.splitlines() == ["LSTM_2 on made_up: fits that diverged:"] + [
            f"  seed {seed}, fold {number}, arousal: in epoch 1, the training loss is inf"
            for seed in (1, 2)
            for number in range(3)
        ]
        assert "learning_rate" in hint and "overrides: {LSTM_2: " in hint
        assert len(list_entries(tmp_path / "store")) == 6
        assert not (tmp_path / "predictions.parquet").exists()


@pytest.mark.parametrize("name", ["LSTM_4", "AT_4", "Transformer_1"])
def test_a_fit_that_takes_too_large_steps_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)
    with pytest.raises(EmotraceError, match=r"arousal: in epoch \d+, the \w+ loss is (inf|nan)\n"):
        train(tmp_path, make_corpus(), name=name, learning_rate=300.0, max_epochs=40)
    assert list_entries(tmp_path / "store") == []


def test_a_prediction_that_is_no_number_is_not_kept(tmp_path: Path) -> None:
    sequences, clips = make_corpus()
    tested, *_ = sequences.find_clips(clips.loc[clips["split"] == "evaluation", "clip_id"])
    sequences.features[tested, 0, 0] = float("nan")
    with pytest.raises(EmotraceError, match="valence: in epoch 2, a prediction of the tested clip"):
        train(tmp_path, (sequences, clips), learning_rate=0.01)
    assert list_entries(tmp_path / "store") == []


def test_an_interrupted_run_goes_on_where_it_stopped(
    trained: Path, tmp_path: Path, fits: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = job.run_fit

    def stop_at_the_second(*arguments: Any, **rest: Any) -> Fit:
        if fits:
            raise KeyboardInterrupt
        return counted(*arguments, **rest)

    store = tmp_path / "store"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(job, "run_fit", stop_at_the_second)
        train(tmp_path / "run", make_corpus(), seeds=(1, 2), store=store)
    assert len(list_entries(store)) == 1
    train(tmp_path / "run", make_corpus(), seeds=(1, 2), store=store)
    assert fits == [(target, seed) for seed in (1, 2) for target in TARGETS]
    assert read_run(tmp_path / "run") == read_run(trained)


def test_fits_get_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        train(tmp_path, make_corpus(), name="LSTM_2", max_epochs=1)
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").rglob("*")}
    assert len(modes) > 8
    assert {
        path: mode for path, mode in modes.items() if mode != 0o755 - 0o111 * path.is_file()
    } == {}
