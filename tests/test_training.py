"""Training repeats itself, learns what is there, and never looks at the tested clips."""

from __future__ import annotations

import logging
import subprocess
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import r2_score
from torch import Tensor, nn

from emotrace import TARGETS
from emotrace.models import build_model
from emotrace.models.families import list_families
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.folds import make_folds
from emotrace.splits.protocol import Protocol
from emotrace.training import checkpoint, fitting, job
from emotrace.training.fitting import Part, _Stopper, fit_model, predict
from emotrace.training.fold import prepare_fold
from emotrace.training.normalisation import fit_normalisation
from emotrace.training.settings import TrainingSettings
from tests.training import (
    N_FEATURES,
    lengthen_padding,
    list_entries,
    make_corpus,
    make_part,
    make_settings,
    train,
)


def shuffle_labels(part: Part) -> Part:
    order = torch.randperm(len(part.labels), generator=torch.Generator().manual_seed(1))
    return Part(part.features, part.valid, part.labels[order])


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "epochs"),
    [
        ([5, 4, 3, 2, 1], 2, 0.0, 5),
        ([5, 5, 5, 5], 2, 0.0, 3),
        ([5, 6, 4, 6, 6, 3], 2, 0.0, 5),
        ([5, 6, 4, 6, 3.9, 6, 6, 1], 3, 0.0, 8),
        ([5, 4.97, 4.94, 4.91, 4.8], 3, 0.1, 4),  # each step too small, counted from the 5
        ([5, 4.97, 4.94, 4.89, 4.8], 3, 0.1, 5),  # the third is enough, counted from the 5
        ([5, 4.9375, 4.875], 2, 0.0625, 3),  # exactly the smallest improvement is none
        ([3, float("nan"), float("nan")], 2, 0.0, 3),
    ],
)
def test_training_stops_as_keras_stops_it(
    losses: list[float], patience: int, min_delta: float, epochs: int
) -> None:
    stopper = _Stopper(patience, min_delta)
    lasted = next((n for n, loss in enumerate(losses, 1) if stopper.is_over(loss)), len(losses))
    assert lasted == epochs


@pytest.mark.parametrize("name", ["AT_6", "Transformer_1"])
def test_a_seed_gives_the_same_bits_and_another_seed_others(name: str) -> None:
    fit, validation = make_part(25, seed=0), make_part(8, seed=1)
    settings = make_settings(dropout=0.5)
    first, again, other = (
        predict(fit_model(name, fit, validation, settings, seed).model, validation)[0]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.isclose(first, other).any()


def train_by_hand(
    name: str, fit: Part, validation: Part, settings: TrainingSettings, seed: int
) -> list[float]:
    """Write out the epochs and RMSProp of TensorFlow 1.14; return the validation errors."""
    torch.manual_seed(seed)
    model = build_model(name, N_FEATURES, dropout=0.0, feedback=settings.feedback)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    squares = [torch.zeros_like(weight) for weight in weights]
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(settings.max_epochs):
        order = torch.randperm(len(fit.features), generator=generator)
        for start in range(0, len(order), settings.batch_size):
            rows = order[start : start + settings.batch_size]
            error = model(fit.features[rows], fit.valid[rows])[0] - fit.labels[rows]
            gradients = torch.autograd.grad((error**2).mean(), weights)
            with torch.no_grad():
                for weight, square, gradient in zip(weights, squares, gradients, strict=True):
                    square.copy_(0.9 * square + 0.1 * gradient**2)
                    weight -= settings.learning_rate * gradient / (square.sqrt() + 1e-7)
        with torch.no_grad():
            error = model(validation.features, validation.valid)[0] - validation.labels
        losses.append((error**2).mean().item())
    return losses


@pytest.mark.parametrize("feedback", [True, False])
def test_weights_move_by_the_rmsprop_of_tensorflow(feedback: bool) -> None:
    fit, validation = make_part(25, seed=0), make_part(8, seed=1)
    settings = make_settings(optimizer="rmsprop", learning_rate=0.003, feedback=feedback)
    fitted = fit_model("AT_6", fit, validation, settings, seed=5)
    losses = [epoch["validation_loss"] for epoch in fitted.history]
    expected = train_by_hand("AT_6", fit, validation, settings, seed=5)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_weights_of_the_best_epoch_are_kept() -> None:
    fit, validation = shuffle_labels(make_part(20, seed=0)), make_part(10, seed=1)
    settings = make_settings(learning_rate=0.03, max_epochs=12, patience=12)
    fitted = fit_model("LSTM_8", fit, validation, settings, seed=1)
    losses = [epoch["validation_loss"] for epoch in fitted.history]
    assert len(losses) == 12
    assert losses.index(min(losses)) < 11
    predicted, _ = predict(fitted.model, validation)
    reached = ((predicted - validation.labels) ** 2).mean().item()
    assert reached == pytest.approx(min(losses), rel=1e-6)
    assert fitted.best["validation_r2"] == pytest.approx(
        r2_score(validation.labels.flatten(), predicted.flatten()), abs=1e-6
    )


@pytest.mark.parametrize("label", [0.0, 0.1, -0.7])
def test_constant_labels_give_the_validation_set_no_r2(label: float) -> None:
    fit, validation = make_part(20, seed=0), make_part(7, seed=1, length=9)
    validation.labels[:] = label
    fitted = fit_model("LSTM_4", fit, validation, make_settings(), seed=1)
    assert all(np.isnan(epoch["validation_r2"]) for epoch in fitted.history)
    predicted, _ = predict(fitted.model, validation)
    expected = ((predicted - label) ** 2).mean().item()
    assert fitted.best["validation_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["LSTM_16", "AT_16", "BAT_16"])
def test_a_planted_rule_is_learnt_and_shuffled_labels_are_not(name: str) -> None:
    fit, validation, test = (make_part(n, seed=seed) for seed, n in enumerate((60, 30, 30)))
    settings = make_settings(learning_rate=0.01, max_epochs=25, dropout=0.1)
    fitted = fit_model(name, fit, validation, settings, seed=1)
    assert fitted.best["validation_r2"] > 0.8
    predicted, _ = predict(fitted.model, test)
    assert r2_score(test.labels.flatten(), predicted.flatten()) > 0.8

    unrelated = fit_model(name, shuffle_labels(fit), shuffle_labels(validation), settings, seed=1)
    predicted, _ = predict(unrelated.model, test)
    assert r2_score(test.labels.flatten(), predicted.flatten()) < 0.15


@pytest.mark.parametrize("name", ["AT_4", "LSTM_4"])
def test_training_leaves_what_is_documented(name: str, tmp_path: Path) -> None:
    sequences, _ = corpus = make_corpus()
    predictions = train(tmp_path, corpus, name=name, protocol="artist", seeds=(1, 7))
    columns = ["clip_id", "time_s", "target", "fold", "seed", "prediction", "shuffled"]
    assert list(predictions.columns) == columns
    expected = {
        (clip_id, time, target, seed)
        for clip_id, times, valid in zip(
            sequences.clip_ids, sequences.times, sequences.valid, strict=True
        )
        for time in times[valid]
        for target in TARGETS
        for seed in (1, 7)
    }
    keys = list(predictions[["clip_id", "time_s", "target", "seed"]].itertuples(index=False))
    assert len(keys) == len(expected)
    assert set(map(tuple, keys)) == expected
    assert (predictions.groupby("clip_id")["fold"].nunique() == 1).all()
    assert set(predictions["fold"]) == {0, 1, 2}

    attention = pd.read_parquet(tmp_path / "attention.parquet")
    assert list(attention.columns) == ["clip_id", "target", "fold", "seed", "time_s", "weights"]
    if name == "AT_4":
        keys = ["clip_id", "time_s", "target", "fold", "seed"]
        assert len(attention.merge(predictions, on=keys, validate="1:1")) == len(predictions)
        lengths = dict(zip(sequences.clip_ids, sequences.valid.sum(axis=1), strict=True))
        found = attention["weights"].map(len)
        assert found.tolist() == attention["clip_id"].map(lengths).tolist()
        np.testing.assert_allclose(attention["weights"].map(sum), 1.0, rtol=1e-5)
        assert (predictions["shuffled"] != predictions["prediction"]).mean() > 0.9
    else:
        assert attention.empty
        assert predictions["shuffled"].isna().all()

    history = pd.read_parquet(tmp_path / "history.parquet")
    assert len(history) == 2 * 3 * 2 * 2  # epochs, folds, seeds, targets
    assert np.isfinite(history[["training_loss", "validation_loss", "validation_r2"]]).all().all()


def read_folder(folder: Path, fold: int) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "weights").glob(f"*fold{fold}_*")}


@pytest.mark.parametrize(
    ("protocol", "blind"), [("official", True), ("artist", True), ("paper", False)]
)
def test_labels_of_the_tested_clips_reach_nothing(
    protocol: str, blind: bool, tmp_path: Path
) -> None:
    sequences, clips = make_corpus()
    before = train(tmp_path / "before", (sequences, clips), protocol=protocol)
    tested = sequences.find_clips(before.loc[before["fold"] == 0, "clip_id"].unique())
    sequences.labels[tested] = -sequences.labels[tested] / 2
    after = train(tmp_path / "after", (sequences, clips), protocol=protocol)

    rows = (before["fold"] == 0) & (after["fold"] == 0)
    same_predictions = before[rows].equals(after[rows])
    history = [
        pd.read_parquet(tmp_path / name / "history.parquet").query("fold == 0")
        for name in ("before", "after")
    ]
    if blind:
        assert same_predictions
        assert read_folder(tmp_path / "before", 0) == read_folder(tmp_path / "after", 0)
    assert history[0].equals(history[1]) is blind  # in `paper` the tested part stops the training


@pytest.mark.parametrize("protocol", ["official", "artist"])
def test_features_of_the_tested_clips_reach_neither_weights_nor_normalisation(
    protocol: str, tmp_path: Path
) -> None:
    sequences, clips = make_corpus()
    before = train(tmp_path / "before", (sequences, clips), protocol=protocol)
    tested = sequences.find_clips(before.loc[before["fold"] == 0, "clip_id"].unique())
    sequences.features[tested] *= 1000
    after = train(tmp_path / "after", (sequences, clips), protocol=protocol)
    assert read_folder(tmp_path / "before", 0) == read_folder(tmp_path / "after", 0)
    assert not before.equals(after)


@pytest.mark.parametrize("name", ["LSTM_4", "AT_4"])
def test_padding_reaches_neither_loss_nor_normalisation(name: str, tmp_path: Path) -> None:
    sequences, clips = make_corpus()
    before = train(tmp_path / "before", (sequences, clips), name=name)
    after = train(tmp_path / "after", (lengthen_padding(sequences), clips), name=name)
    # Shuffled attention draws numbers for padding too.
    before, after = before.drop(columns="shuffled"), after.drop(columns="shuffled")
    pd.testing.assert_frame_equal(before, after, check_exact=False, rtol=0, atol=1e-5)
    history = [pd.read_parquet(tmp_path / run / "history.parquet") for run in ("before", "after")]
    pd.testing.assert_frame_equal(*history, check_exact=False, rtol=1e-4, atol=1e-5)


def test_a_fold_is_normalised_as_all_its_clips_at_once_in_no_more_memory() -> None:
    sequences, clips = make_corpus(80)
    sequences.features = np.repeat(sequences.features, 50, axis=-1)
    (fold,) = make_folds(clips, Protocol("official", 3, 0.3), seed=1)
    fold = replace(fold, training=fold.training[::-1])  # in an order of its own
    settings = make_settings()
    tracemalloc.start()
    data = prepare_fold(sequences, fold, settings, torch.device("cpu"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.3 * sequences.features.nbytes

    rows = [sequences.find_clips(part) for part in (fold.training, fold.validation, fold.test)]
    frames = sequences.features[rows[0]][sequences.valid[rows[0]]]
    normalisation = fit_normalisation(
        frames, scaling=settings.scaling, limit=settings.feature_limit
    )
    for part, clips_of_part in zip(data.parts["arousal"], rows, strict=True):
        expected = torch.from_numpy(normalisation.apply(sequences.features[clips_of_part]))
        assert torch.equal(part.features, expected)


def shorten_clips(part: Part) -> Part:
    """Leave clips from 1 frame to all, and labels of the shorter ones that are farther off."""
    lengths = 1 + torch.arange(len(part.valid)) % part.valid.shape[1]
    valid = torch.arange(part.valid.shape[1]) < lengths[:, None]
    return Part(part.features.double(), valid, part.labels.double() + 1 / lengths[:, None])


@pytest.fixture
def double_precision() -> Iterator[None]:
    """Let models be built in double precision, in which rounding moves next to nothing."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("n_pieces", [2, 3, 40])
@pytest.mark.parametrize("name", ["AT_6", "TwoLevel_6", "Transformer_1"])
def test_batches_in_pieces_move_the_weights_as_whole_ones(name: str, n_pieces: int) -> None:
    fit, validation = (shorten_clips(make_part(25, seed=seed)) for seed in (0, 1))
    settings = make_settings(batch_size=10, max_epochs=2)
    whole = fit_model(name, fit, validation, settings, seed=5)
    pieces = fit_model(name, fit, validation, settings, seed=5, n_pieces=n_pieces)
    for key, weights in whole.model.state_dict().items():
        torch.testing.assert_close(pieces.model.state_dict()[key], weights, rtol=0, atol=1e-9)
    for found, expected in zip(pieces.history, whole.history, strict=True):
        assert found == pytest.approx(expected, rel=1e-9)


Limit = Callable[[Callable[[], int]], None]


@pytest.fixture
def limit_memory(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Return what lets models run out of memory with more clips at once than a function says."""

    def limit(most_clips: Callable[[], int]) -> None:
        def refuse(_: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
            if len(inputs[0]) > most_clips():
                raise torch.OutOfMemoryError("CUDA out of memory.")

        def build(*arguments: Any, **rest: Any) -> nn.Module:
            assert all(model() is None for model in built)  # the failed fit's memory is free again
            model = build_model(*arguments, **rest)
            model.register_forward_pre_hook(refuse)
            built.append(weakref.ref(model))
            return model

        built: list[weakref.ref] = []
        monkeypatch.setattr(fitting, "build_model", build)

    return limit


def test_a_gpu_that_holds_no_whole_batch_gets_it_in_pieces(
    limit_memory: Limit,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    settings = {"batch_size": 24, "dropout": 0.0}
    expected = train(tmp_path / "large", make_corpus(72), **settings)
    limit_memory(lambda: 16)
    found = train(tmp_path / "small", make_corpus(72), **settings)
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=0, atol=1e-4)
    # Batches of 24 fit in halves, the 18 tested clips only in quarters of the 64 at once.
    warned = [record.message for record in caplog.records if "too little memory" in record.message]
    assert [message.split()[-2] for message in warned] == ["2", "4"] * len(TARGETS)
    assert all(message.startswith("AT_4: ") for message in warned)


def test_a_fit_that_runs_out_of_memory_goes_on_from_its_checkpoint(
    limit_memory: Limit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)
    limit_memory(lambda: 5 if list_entries(tmp_path / "store") else 100)
    train(tmp_path, make_corpus(), max_epochs=3)
    messages = [record.message for record in caplog.records]
    first = next(n for n, message in enumerate(messages) if "in 2 pieces" in message)
    assert messages[first + 1] == "going on after epoch 1"


@pytest.mark.parametrize("step", ["prepare_fold", "run_fit"])
@pytest.mark.parametrize(
    "refusal",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_a_gpu_that_is_too_small_ends_in_a_hint(
    refusal: RuntimeError, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: Any, **__: Any) -> None:
        raise refusal

    monkeypatch.setattr(job, step, run_out)
    with pytest.raises(EmotraceError, match="AT_4: the GPU has too little memory") as error:
        train(tmp_path, make_corpus())
    assert "training.batch_size" in str(error.value)


def test_other_errors_are_not_reported_as_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(job, "run_fit", fail)
    with pytest.raises(RuntimeError, match="^shapes differ$"):
        train(tmp_path, make_corpus())


def test_training_needs_nothing_that_a_gpu_machine_may_lack() -> None:
    modules = ["emotrace.training.job", "emotrace.training.sequences", "emotrace.training.recipe"]
    modules += [f"emotrace.models.{family}" for family in list_families()]
    lacking = ["av", "librosa", "opensmile", "soundfile", "snakemake", "sklearn", "dask"]
    lacking += ["distributed", "matplotlib", "pydantic", "pooch", "requests"]
    program = (
        f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
        f"print([name for name in {lacking} if name in sys.modules])"
    )
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert completed.stdout == "[]\n", completed.stderr
