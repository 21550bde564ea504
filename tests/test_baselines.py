"""What every model is compared with is what it says, and hears no more than it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from emotrace import TARGETS
from emotrace.evaluation.baselines import (
    BASELINES,
    Problem,
    check_shuffled_labels,
    pool_features,
    predict_baselines,
    predict_ramp,
    predict_ridge,
    predict_svr,
)
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.protocol import Protocol
from emotrace.training.sequences import Sequences

N_CLIPS, N_FEATURES = 60, 5
PROTOCOL = Protocol("official", 3, 0.3)
GENRES = ("Folk", "Jazz", "Rock")


def make_corpus() -> tuple[Sequences, pd.DataFrame]:
    """Make up clips of 5 to 8 frames by artists with two clips, whose mean follows a feature."""
    random = np.random.default_rng(3)
    numbers = np.arange(N_CLIPS)
    valid = np.arange(8) < (5 + numbers % 4)[:, None]
    artists = random.normal(0, 0.25, (N_CLIPS // 2, N_FEATURES))
    levels = artists[numbers // 2] + random.normal(0, 0.15, (N_CLIPS, N_FEATURES))
    features = levels[:, None] + random.normal(0, 0.05, (N_CLIPS, 8, N_FEATURES))
    labels = np.stack([levels[:, 0], 0.5 * levels[:, 1] - levels[:, 2]], axis=-1)[:, None]
    labels = labels + 0.01 * np.arange(8)[:, None] + random.normal(0, 0.02, (N_CLIPS, 8, 2))
    clip_ids = [f"clip {number:02}" for number in numbers]
    sequences = Sequences(
        clip_ids=clip_ids,
        times=np.where(valid, 15 + 0.5 * np.arange(8), 0.0),
        valid=valid,
        features=np.where(valid[..., None], features, 0.0).astype(np.float32),
        labels=np.where(valid[..., None], labels, 0.0).astype(np.float32),
    )
    clips = pd.DataFrame(
        {
            "clip_id": clip_ids,
            "artist": [f"artist {number // 2}" for number in numbers],
            "genre": [GENRES[number % 3] for number in numbers],
            "split": np.where(numbers % 4, "development", "evaluation"),
            "sha256": clip_ids,
            "samples_sha256": clip_ids,
        }
    )
    return sequences, clips


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    return predict_baselines(*make_corpus(), protocol=PROTOCOL)


def take(predictions: pd.DataFrame, baseline: str, target: str) -> pd.DataFrame:
    rows = (predictions["baseline"] == baseline) & (predictions["target"] == target)
    return predictions[rows].sort_values(["clip_id", "time_s"])


def spread_out() -> pd.DataFrame:
    """Return labels and times of clips, one row per frame."""
    sequences, clips = make_corpus()
    table = [
        (clip_id, sequences.times[row, frame], *sequences.labels[row, frame])
        for row, clip_id in enumerate(sequences.clip_ids)
        for frame in np.flatnonzero(sequences.valid[row])
    ]
    frames = pd.DataFrame(table, columns=["clip_id", "time_s", *TARGETS])
    return frames.merge(clips, on="clip_id")


def test_every_tested_frame_is_predicted_once_by_each(predictions: pd.DataFrame) -> None:
    frames = spread_out()
    tested = frames[frames["split"] == "evaluation"]
    for baseline in BASELINES:
        for target in TARGETS:
            part = take(predictions, baseline, target)
            assert part["clip_id"].tolist() == tested["clip_id"].tolist()
            np.testing.assert_allclose(part["time_s"], tested["time_s"])
            assert part["prediction"].notna().all()


@pytest.mark.parametrize("target", TARGETS)
def test_baselines_without_audio_are_what_they_say(predictions: pd.DataFrame, target: str) -> None:
    frames = spread_out()
    training = frames[frames["split"] == "development"]
    tested = frames[frames["split"] == "evaluation"]
    mean = take(predictions, "Mean", target)["prediction"]
    np.testing.assert_allclose(mean, training[target].mean(), rtol=1e-5)

    oracle = tested.groupby("clip_id")[target].transform("mean")
    np.testing.assert_allclose(
        take(predictions, "OracleMean", target)["prediction"], oracle, rtol=1e-5
    )

    ramp = take(predictions, "Ramp", target)["prediction"].to_numpy()
    dummies = pd.get_dummies(training["clip_id"]).to_numpy(float)  # each clip has its own level
    design = np.column_stack([training["time_s"], dummies])
    slope = np.linalg.lstsq(design, training[target], rcond=None)[0][0]
    centred = tested["time_s"] - tested.groupby("clip_id")["time_s"].transform("mean")
    expected = training[target].mean() + slope * centred
    np.testing.assert_allclose(ramp, expected, rtol=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_artist_mean_lies_between_the_genre_and_the_artist(
    predictions: pd.DataFrame, target: str
) -> None:
    frames = spread_out()
    clips = frames.groupby(["clip_id", "artist", "genre", "split"])[target].mean().reset_index()
    training = clips[clips["split"] == "development"]
    found = take(predictions, "ArtistMean", target).groupby("clip_id")["prediction"].first()
    genres = training.groupby("genre")[target].mean()
    weights = []
    for clip in clips[clips["split"] == "evaluation"].itertuples():
        same = training[training["artist"] == clip.artist]
        strays = (same[target] - same["genre"].map(genres)).mean() if len(same) else 0.0
        moved = found[clip.clip_id] - genres[clip.genre]
        if len(same):
            weights.append(moved / strays)
        else:
            assert moved == pytest.approx(0, abs=1e-6)
    # All artists have one training clip beside a tested one, so all are drawn alike.
    assert np.ptp(weights) < 1e-4 and 0.2 < weights[0] < 0.95


@pytest.mark.parametrize("target", TARGETS)
def test_regressions_learn_a_linear_rule(predictions: pd.DataFrame, target: str) -> None:
    frames = spread_out()
    truth = frames.loc[frames["split"] == "evaluation", target]
    for baseline, at_least in (("Ridge", 0.9), ("SVR", 0.5)):
        assert r2_score(truth, take(predictions, baseline, target)["prediction"]) > at_least


def make_problem(**changes: object) -> Problem:
    sequences, clips = make_corpus()
    tested = (clips["split"] == "evaluation").to_numpy()
    valid = sequences.valid
    parts = {
        "labels": np.where(valid, sequences.labels[..., 0], np.nan),
        "times": np.where(valid, sequences.times, np.nan),
        "pooled": pool_features(sequences),
        "artists": clips["artist"].to_numpy(),
        "genres": clips["genre"].to_numpy(),
        "recordings": np.arange(N_CLIPS),
        "train": np.flatnonzero(~tested),
        "test": np.flatnonzero(tested),
    }
    return Problem(**parts | changes)


def test_shuffled_labels_are_predicted_only_if_test_clips_leak_into_training() -> None:
    check_shuffled_labels(make_problem(), "fold 0")
    # So many values that clips are told apart, as with openSMILE's.
    told_apart = np.random.default_rng(0).normal(0, 1, (N_CLIPS, 400)).astype(np.float32)
    check_shuffled_labels(make_problem(pooled=told_apart), "fold 0")
    everything = np.arange(N_CLIPS)
    with pytest.raises(EmotraceError, match=r"fold 3: shuffled labels were predicted .*\nhint: "):
        check_shuffled_labels(make_problem(pooled=told_apart, train=everything), "fold 3")


@pytest.mark.parametrize(
    "changes",
    [
        {"train": np.array([1, 2, 3])},
        {"pooled": np.ones((N_CLIPS, 4), np.float32)},
        {"artists": np.array(["same"] * (N_CLIPS - 1) + ["other"])},
        {"artists": np.array(["same"] * N_CLIPS)},
        {"artists": np.array(["same"] * N_CLIPS), "recordings": np.arange(N_CLIPS) // 20},
    ],
)
def test_regressions_manage_with_little(changes: dict[str, object]) -> None:
    problem = make_problem(**changes)
    for predict in (predict_ridge, predict_svr):
        assert np.isfinite(predict(problem)).all()


def test_ramp_lies_around_the_mean_wherever_a_clip_lies_in_time() -> None:
    problem = make_problem()
    shifted = make_problem(times=problem.times + 100 * np.arange(N_CLIPS)[:, None])
    np.testing.assert_allclose(predict_ramp(shifted), predict_ramp(problem), atol=1e-6)


def test_tested_labels_reach_only_the_oracle(predictions: pd.DataFrame) -> None:
    sequences, clips = make_corpus()
    tested = (clips["split"] == "evaluation").to_numpy()
    sequences.labels[tested] = -sequences.labels[tested] + 0.3
    again = predict_baselines(sequences, clips, protocol=PROTOCOL)
    for baseline in BASELINES:
        for target in TARGETS:
            same = take(again, baseline, target)["prediction"].equals(
                take(predictions, baseline, target)["prediction"]
            )
            assert same is (baseline != "OracleMean")


def test_pooled_features_are_mean_and_deviation_of_the_frames_that_are_there() -> None:
    sequences, _ = make_corpus()
    for row, pooled in enumerate(pool_features(sequences)):
        frames = sequences.features[row][sequences.valid[row]]
        expected = [*frames.mean(axis=0), *frames.std(axis=0)]
        np.testing.assert_allclose(pooled, expected, rtol=1e-4, atol=1e-6)
