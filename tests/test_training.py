"""Training repeats itself, learns what is there, and never looks at the tested clips."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from sklearn.metrics import r2_score

from emotrace import TARGETS
from emotrace.config import TrainingSettings
from emotrace.errors import EmotraceError
from emotrace.models import build_model, list_families
from emotrace.store import Store
from emotrace.training import fold, job
from emotrace.training.fitting import Part, _Stopper, fit_model, predict
from emotrace.training.fold import Fit, FoldData
from emotrace.training.identity import identify_model
from emotrace.training.job import train_all
from emotrace.training.normalisation import Normalisation
from emotrace.training.protocols import make_folds
from emotrace.training.sequences import Sequences, load_sequences

N_FEATURES = 6

# These models are so small that threads only wait for one another, for minutes on a busy machine.
torch.set_num_threads(1)


def make_settings(**changes: object) -> dict[str, Any]:
    plain = {"dropout": 0.0, "weight_decay": 0.0, "batch_size": 10, "max_epochs": 3}
    return TrainingSettings(**{**plain, **changes}).model_dump()


def make_part(n_clips: int, *, seed: int, noise: float = 0.0, length: int = 10) -> Part:
    """Plant a linear rule: features that differ between clips more than they move within."""
    random = np.random.default_rng(seed)
    shape = (n_clips, length, N_FEATURES)
    features = random.normal(size=(n_clips, 1, N_FEATURES)) + 0.3 * random.normal(size=shape)
    labels = features @ np.array([0.3, -0.2, 0.1, 0.0, 0.0, 0.0])
    labels += noise * random.normal(size=labels.shape)
    return Part(
        torch.tensor(features, dtype=torch.float32),
        torch.ones(shape[:2], dtype=torch.bool),
        torch.tensor(labels, dtype=torch.float32),
    )


def shuffle_labels(part: Part) -> Part:
    order = torch.randperm(len(part.labels), generator=torch.Generator().manual_seed(1))
    return Part(part.features, part.valid, part.labels[order])


@pytest.mark.parametrize(
    ("losses", "patience", "min_improvement", "epochs"),
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
    losses: list[float], patience: int, min_improvement: float, epochs: int
) -> None:
    stopper = _Stopper(patience, min_improvement)
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
    name: str, fit: Part, validation: Part, settings: dict[str, Any], seed: int
) -> list[float]:
    """Write out the epochs and RMSProp of TensorFlow 1.14; return the validation errors."""
    torch.manual_seed(seed)
    model = build_model(name, N_FEATURES, dropout=0.0, feedback=settings["feedback"])
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    squares = [torch.zeros_like(weight) for weight in weights]
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(settings["max_epochs"]):
        order = torch.randperm(len(fit.features), generator=generator)
        for start in range(0, len(order), settings["batch_size"]):
            rows = order[start : start + settings["batch_size"]]
            error = model(fit.features[rows], fit.valid[rows])[0] - fit.labels[rows]
            gradients = torch.autograd.grad((error**2).mean(), weights)
            with torch.no_grad():
                for weight, square, gradient in zip(weights, squares, gradients, strict=True):
                    square.copy_(0.9 * square + 0.1 * gradient**2)
                    weight -= settings["learning_rate"] * gradient / (square.sqrt() + 1e-7)
        with torch.no_grad():
            error = model(validation.features, validation.valid)[0] - validation.labels
        losses.append((error**2).mean().item())
    return losses


@pytest.mark.parametrize("feedback", [True, False])
def test_weights_move_by_the_rmsprop_of_tensorflow(feedback: bool) -> None:
    fit, validation = make_part(25, seed=0), make_part(8, seed=1)
    settings = make_settings(optimiser="rmsprop", learning_rate=0.003, feedback=feedback)
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


Corpus = tuple[Sequences, pd.DataFrame]


def make_corpus(n_clips: int = 16) -> Corpus:
    """Make up clips of 5 to 8 frames; two clips per artist, every fourth is evaluated."""
    random = np.random.default_rng(6)
    lengths = 5 + np.arange(n_clips) % 4
    shape = (n_clips, 8)
    valid = np.arange(8) < lengths[:, None]
    clip_ids = [f"clip {number:02}" for number in range(n_clips)]
    sequences = Sequences(
        clip_ids=clip_ids,
        times=np.where(valid, 15 + 0.5 * np.arange(8), 0.0),
        valid=valid,
        features=np.where(valid[..., None], random.normal(3, 2, (*shape, N_FEATURES)), 0.0).astype(
            np.float32
        ),
        labels=np.where(valid[..., None], random.uniform(-1, 1, (*shape, 2)), 0.0).astype(
            np.float32
        ),
    )
    clips = pd.DataFrame(
        {
            "clip_id": clip_ids,
            "artist": [f"artist {number // 2}" for number in range(n_clips)],
            "split": np.where(np.arange(n_clips) % 4, "development", "evaluation"),
        }
    )
    return sequences, clips


def train(
    folder: Path,
    corpus: Corpus,
    *,
    name: str = "AT_4",
    protocol: str = "official",
    seeds: tuple[int, ...] = (1,),
    store: Path | None = None,
    code: str | None = None,
    **settings: object,
) -> pd.DataFrame:
    """Train with a store of its own, so that nothing is taken from elsewhere unless asked for."""
    settings = make_settings(**{"dropout": 0.2, "max_epochs": 2, **settings})
    identity = identify_model(name, settings, new_torch_retrains=False)
    digest = train_all(
        *corpus,
        identity={**identity, "code": code or identity["code"]},
        protocol={"name": protocol, "folds": 3, "validation_share": 0.3},
        seeds=seeds,
        feature_set="made_up",
        store=Store(store or folder / "store", folder),
        folder=folder,
        threads=1,
        gpu_slots=1,
    )
    (folder / "run.digest").write_text(digest, encoding="utf-8")
    return pd.read_parquet(folder / "predictions.parquet")


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
    assert np.isfinite(history[["fit_loss", "validation_loss", "validation_r2"]]).all().all()


@pytest.mark.parametrize("name", ["BAT_4_3", "Transformer_1"])
def test_weights_on_disk_repeat_the_stored_predictions(name: str, tmp_path: Path) -> None:
    sequences, _ = corpus = make_corpus()
    stored = train(tmp_path, corpus, name=name, seeds=(3,))
    assert len(list((tmp_path / "weights").iterdir())) == len(TARGETS)
    for target in TARGETS:
        path = tmp_path / "weights" / f"{target}_fold0_seed3.safetensors"
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["emotrace"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        normalisation = Normalisation(
            *(tensors.pop(f"normalisation.{key}").numpy() for key in ("kept", "centre", "scale")),
            limit=about["feature_limit"],
        )
        n_features = int(normalisation.kept.sum())
        model = build_model(about["model"], n_features, dropout=0.2, feedback=True).eval()
        model.load_state_dict(tensors)
        tested = stored[stored["target"] == target]
        for clip_id, clip in tested.groupby("clip_id"):
            (row,) = sequences.find_clips([clip_id])
            frames = sequences.features[row][sequences.valid[row]]
            features = torch.from_numpy(normalisation.apply(frames))[None]
            predicted, _ = model(features, torch.ones(features.shape[:2], dtype=torch.bool))
            np.testing.assert_allclose(predicted[0].detach(), clip["prediction"], atol=1e-6)


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


def lengthen_padding(sequences: Sequences) -> Sequences:
    """Pad every clip by three frames more, and fill all padding with what would do harm."""
    longer = ((0, 0), (0, 3))
    valid = np.pad(sequences.valid, longer)
    values = {
        name: np.where(valid[..., None], np.pad(getattr(sequences, name), (*longer, (0, 0))), 50)
        for name in ("features", "labels")
    }
    return Sequences(
        clip_ids=sequences.clip_ids,
        times=np.pad(sequences.times, longer),
        valid=valid,
        **{name: array.astype(np.float32) for name, array in values.items()},
    )


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


# What is in the store is not fitted again, and never taken for something else.


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return the target and seed of every fit that is made from now on."""
    made = []

    def run_fit(name: str, sequences: Sequences, data: FoldData, target: str, **rest: Any) -> Fit:
        made.append((target, rest["seed"]))
        return fold.run_fit(name, sequences, data, target, **rest)

    monkeypatch.setattr(job, "run_fit", run_fit)
    return made


def read_run(folder: Path) -> dict[str, bytes]:
    """Return all that a run leaves, but not its store."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in names.items() if not name.startswith("store/")}


def list_entries(store: Path) -> list[Path]:
    return sorted(store.glob("fits/made_up/*/*"))


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
        ("official", "fit", ["arousal"]),
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
    folds = make_folds(clips, protocol=protocol, n_folds=3, validation_share=0.3, seed=1)
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


@pytest.mark.parametrize("part", ["fit", "validation", "test"])
def test_any_other_feature_makes_all_fits(
    store: Path, tmp_path: Path, fits: list[tuple[str, int]], part: str
) -> None:
    sequences, clips = make_corpus()
    (fold_,) = make_folds(clips, protocol="official", n_folds=3, validation_share=0.3, seed=1)
    (row,) = sequences.find_clips(getattr(fold_, part)[:1])
    sequences.features[row, 0, 0] += 0.01
    train(tmp_path / "other", (sequences, clips), store=store)
    assert len(fits) == 2


def test_what_other_code_fitted_is_not_kept_as_the_planned_ones(tmp_path: Path) -> None:
    with pytest.raises(EmotraceError, match=r"AT_4: its code was edited.*\nhint: "):
        train(tmp_path, make_corpus(), code="4567def", max_epochs=1)
    assert list_entries(tmp_path / "store") == []


def test_a_fit_that_may_not_be_read_is_left_alone(
    store: Path, tmp_path: Path, fits: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", "another user's file")

    before = read_run(store / "fits")
    with monkeypatch.context() as patched, pytest.raises(EmotraceError, match="cannot be read"):
        patched.setattr(pq, "read_table", refuse)
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
@pytest.mark.parametrize(
    "file",
    ["predictions.parquet", "attention.parquet", "history.parquet", "weights.safetensors"],
)
def test_a_damaged_fit_is_made_again(
    trained: Path,
    store: Path,
    tmp_path: Path,
    fits: list[tuple[str, int]],
    file: str,
    damage: Callable[[Path], None],
) -> None:
    damage(list_entries(store)[0] / file)
    train(tmp_path / "again", make_corpus(), seeds=(1, 2), store=store)
    assert len(fits) == 1
    assert read_run(tmp_path / "again") == read_run(trained)


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


def test_a_gpu_that_is_too_small_ends_in_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_fit(*_: Any, **__: Any) -> Fit:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(job, "run_fit", run_fit)
    with pytest.raises(EmotraceError, match="AT_4: the GPU has too little memory") as error:
        train(tmp_path, make_corpus())
    assert "training.batch_size" in str(error.value)


def test_fits_may_be_read_by_all_whom_the_umask_lets(tmp_path: Path) -> None:
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


def test_training_needs_nothing_that_a_gpu_machine_may_lack() -> None:
    modules = ["emotrace.training.job", "emotrace.training.sequences", "emotrace.training.identity"]
    modules += [f"emotrace.models.{family}" for family in list_families()]
    lacking = ["librosa", "opensmile", "soundfile", "snakemake", "sklearn", "dask"]
    lacking += ["distributed", "matplotlib", "pydantic", "pooch", "requests"]
    program = (
        f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
        f"print([name for name in {lacking} if name in sys.modules])"
    )
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert completed.stdout == "[]\n", completed.stderr


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


def write_annotations(path: Path, clips: dict[str, list[float]]) -> None:
    rows = [(clip_id, time) for clip_id, times in clips.items() for time in times]
    table = pd.DataFrame(rows, columns=["clip_id", "time_s"])
    table["valence"] = np.arange(len(table)) / 100
    table["arousal"] = -table["valence"]
    table.assign(arousal_std=0.0, valence_std=0.0).to_parquet(path, index=False)


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


@pytest.mark.parametrize("missing", ["features", "annotations", "common frames"])
def test_a_clip_without_annotated_frames_is_named(missing: str, tmp_path: Path) -> None:
    both = {"here": [15.0, 15.5], "lonely 7": [15.0, 15.5]}
    one = {"here": [15.0, 15.5]}
    other = {**one, "lonely 7": [15.25, 15.75]} if missing == "common frames" else one
    write_feature_table(tmp_path / "f.parquet", both if missing != "features" else other)
    write_annotations(tmp_path / "a.parquet", both if missing == "features" else other)
    with pytest.raises(EmotraceError, match=r"f\.parquet.*1 clips?, lonely 7"):
        load_sequences(tmp_path / "f.parquet", tmp_path / "a.parquet", ["here", "lonely 7"])
