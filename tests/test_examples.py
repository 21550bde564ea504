"""What the figures show is what the runs predicted, and how far that is from the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emotrace import TARGETS
from emotrace.evaluation.examples import Examples, open_examples
from emotrace.reruns.checksums import write_json, write_table

CLIPS = ("a", "b", "c")
TIMES = (15.0, 15.5)


@pytest.fixture
def annotations() -> pd.DataFrame:
    """Labels of 0.1 and 0.2 in each clip; clip c has one frame that nobody predicts."""
    rows = [
        {
            "clip_id": clip_id,
            "time_s": time_s,
            **dict.fromkeys(TARGETS, 0.1 * (number + 1)),
            **{f"{target}_std": 0.01 for target in TARGETS},
        }
        for clip_id in CLIPS
        for number, time_s in enumerate((*TIMES, 16.0) if clip_id == "c" else TIMES)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=1)


@pytest.fixture
def examples(tmp_path: Path) -> Examples:
    """Two models with two seeds, whose mean prediction is off by 0.1, 0.2 and 0.3."""
    files = []
    for model, bias in (("AT_2", 0.0), ("LSTM_2", 1.0)):
        rows = [
            {
                "clip_id": clip_id,
                "time_s": time_s,
                "target": target,
                "seed": seed,
                "prediction": 0.1 * (frame + 1) + bias + sign * 0.1 * (clip + 1) + (seed - 1.5),
            }
            for seed in (1, 2)
            for target, sign in zip(TARGETS, (1, -1), strict=True)
            for clip, clip_id in enumerate(CLIPS)
            for frame, time_s in enumerate(TIMES)
        ]
        files.append(tmp_path / model / "predictions.parquet")
        files[-1].parent.mkdir()
        write_table(pd.DataFrame(rows), files[-1])
    best = {"arousal": "AT_2", "valence": "LSTM_2"}
    choices = {"feature_set": "chroma", "clips": ["c", "a"], "baseline": "LSTM_2", "best": best}
    write_json(choices, tmp_path / "examples.json")
    return open_examples(tmp_path / "examples.json", files)


def test_models_are_named_with_their_feature_set(examples: Examples) -> None:
    assert examples.name_models("best") == {
        "arousal": "AT_2 on chroma",
        "valence": "LSTM_2 on chroma",
    }
    assert examples.baseline_label == "LSTM_2 on chroma"


def test_errors_are_mean_absolute_errors_of_the_clips(
    examples: Examples, annotations: pd.DataFrame
) -> None:
    for target in TARGETS:
        errors = examples.read_errors("AT_2", target, annotations)
        np.testing.assert_allclose(errors, [0.1, 0.2, 0.3])
    errors = examples.read_errors("LSTM_2", "valence", annotations)
    np.testing.assert_allclose(errors, [0.9, 0.8, 0.7])


def test_curves_hold_the_frames_that_were_predicted(
    examples: Examples, annotations: pd.DataFrame
) -> None:
    curves = examples.read_curves("arousal", annotations)
    assert set(curves) == {"a", "c"}
    expected = {
        "times_s": TIMES,
        "truth": (0.1, 0.2),
        "truth_std": (0.01, 0.01),
        "best": (0.4, 0.5),
        "baseline": (1.4, 1.5),
    }
    assert set(curves["c"]) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(curves["c"][name], values)


def test_received_attention_is_the_mean_over_predicted_frames_and_seeds(tmp_path: Path) -> None:
    maps = {1: [[1.0, 0.0], [0.5, 0.5]], 2: [[0.6, 0.4], [0.1, 0.9]]}
    rows = [
        {
            "clip_id": "a",
            "target": target,
            "fold": 0,
            "seed": seed,
            "time_s": time_s,
            "weights": weights,
        }
        for target in TARGETS
        for seed, rows in maps.items()
        for time_s, weights in zip(TIMES, rows, strict=True)
    ]
    write_table(pd.DataFrame(rows), tmp_path / "attention.parquet")
    choices = {"clips": ["a"], "AT": dict.fromkeys(TARGETS, "AT_2")}
    examples = Examples(choices, {"AT_2": tmp_path / "attention.parquet"})
    for target in TARGETS:
        times, weights = examples.read_maps("AT")[target]["a"]
        assert times.tolist() == list(TIMES)
        np.testing.assert_allclose(weights, [[0.8, 0.2], [0.3, 0.7]])
        times, received = examples.read_received("AT")[target]["a"]
        assert times.tolist() == list(TIMES)
        np.testing.assert_allclose(received, [0.55, 0.45])
