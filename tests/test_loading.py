"""Trained models are loaded from the weights of a run, and predict what the run predicted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from emotrace import TARGETS
from emotrace.runtime.errors import EmotraceError
from emotrace.training.fitting import Part, predict
from emotrace.training.loading import load_model
from tests.training import N_FEATURES, make_corpus, train

NAMES = ["LSTM_4", "AT_4", "BAT_4_3", "TwoLevel_4", "Transformer_1"]
SEED = 3


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a trained AT_4."""
    folder = tmp_path_factory.mktemp("run")
    train(folder, make_corpus(), name="AT_4", seeds=(SEED,))
    return folder / f"weights/valence_fold0_seed{SEED}.safetensors"


@pytest.mark.parametrize("feedback", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_model_repeats_the_predictions_of_its_run(
    name: str, feedback: bool, tmp_path: Path
) -> None:
    sequences, _ = corpus = make_corpus()
    stored = train(tmp_path, corpus, name=name, seeds=(SEED,), feedback=feedback)
    assert len(list((tmp_path / "weights").iterdir())) == len(TARGETS)
    for target in TARGETS:
        model = load_model(tmp_path / f"weights/{target}_fold0_seed{SEED}.safetensors")
        assert (model.name, model.target, model.seed) == (name, target, SEED)
        tested = stored[stored["target"] == target]
        rows = sequences.find_clips(tested["clip_id"].unique())
        for row in rows:
            expected = tested[tested["clip_id"] == sequences.clip_ids[row]]["prediction"]
            features = sequences.features[row][sequences.valid[row]]
            predicted, weights = model.predict(features)
            # A clip without padding is another sum to the processor, so rounding may differ.
            np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-6)
            if name == "LSTM_4":
                assert weights is None
            else:
                assert weights.shape == (len(features), len(features))

        # In the batch of the run, every bit is the same.
        features = torch.from_numpy(model.normalisation.apply(sequences.features[rows]))
        valid = torch.from_numpy(sequences.valid[rows])
        predicted, _ = predict(model.module, Part(features, valid, valid))
        np.testing.assert_array_equal(predicted[valid], tested["prediction"])


def test_the_weights_tell_how_to_build_their_model(weights: Path) -> None:
    with safe_open(weights, framework="np") as opened:
        about = json.loads(opened.metadata()["emotrace"])
    assert about == {
        "model": "AT_4",
        "target": "valence",
        "seed": SEED,
        "feedback": True,
        "feature_limit": 5.0,
    }


@pytest.mark.parametrize("shape", [(7, N_FEATURES - 1), (1, 7, N_FEATURES), (N_FEATURES,)])
def test_features_of_another_set_are_refused(shape: tuple[int, ...], weights: Path) -> None:
    model = load_model(weights)
    with pytest.raises(ValueError, match=rf"AT_4 was trained on {N_FEATURES}: expected \(frames"):
        model.predict(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"AT_4\\"', b'"AT_5\\"'),
        (b'"AT_4\\"', b'"XT_4\\"'),
        (b'"F32"', b'"F99"'),
        (b"feature_limit", b"feature_limbs"),
        (b"__metadata__", b"__metaxata__"),
        (b"[", b"{"),
    ],
)
def test_a_damaged_file_is_refused_by_name(
    old: bytes, new: bytes, weights: Path, tmp_path: Path
) -> None:
    content = weights.read_bytes()
    assert old in content
    (tmp_path / "damaged.safetensors").write_bytes(content.replace(old, new))
    with pytest.raises(EmotraceError, match=r"/damaged\.s.*: is damaged, or is not a .*\nhint: "):
        load_model(tmp_path / "damaged.safetensors")


@pytest.mark.parametrize("length", [0, 5, 8, 500, -4])
def test_a_cut_file_is_refused_by_name(length: int, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(weights.read_bytes()[:length])
    with pytest.raises(EmotraceError, match=r"/cut\.safetensors: is damaged"):
        load_model(tmp_path / "cut.safetensors")


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(EmotraceError, match=r"none\.safetensors: cannot be read \(No such file"):
        load_model(tmp_path / "none.safetensors")
