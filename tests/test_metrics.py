"""Metrics agree with scikit-learn and scipy, and intervals with theory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, linregress, pearsonr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from emotrace import TARGETS
from emotrace.evaluation.metrics import (
    METRICS,
    score_clips,
    score_seeds,
    score_with_intervals,
    summarise_clips,
)
from emotrace.evaluation.scores import (
    Key,
    Summary,
    compare_runs,
    score_groups,
    score_runs,
    summarise_baselines,
    summarise_runs,
)
from emotrace.evaluation.validation import read_validation
from emotrace.models.families import list_families
from emotrace.reruns.checksums import write_table
from emotrace.splits.folds import make_folds
from emotrace.splits.protocol import Protocol
from tests.training import make_corpus, train

N_CLIPS = 12


def round_to_ties(values: np.ndarray) -> np.ndarray:
    """Round to binary fractions, whose sums are exact: ties stay ties in whatever order."""
    return np.round(values * 32) / 32


def make_frames(seed: int = 0) -> pd.DataFrame:
    """Make up clips of 5 to 16 frames around levels of their own; every seed has equal truth."""
    truth_random, random = np.random.default_rng(100), np.random.default_rng(seed)
    clips = []
    for number in range(N_CLIPS):
        length = 5 + number
        truth = round_to_ties(truth_random.normal(truth_random.uniform(-0.7, 0.7), 0.1, length))
        prediction = round_to_ties(0.6 * truth + 0.1 + random.normal(0, 0.1, length))
        frames = {"clip_id": f"c{number:02}", "time_s": 15 + np.arange(length) / 2}
        clips.append(pd.DataFrame({**frames, "truth": truth, "prediction": prediction}))
    return pd.concat(clips, ignore_index=True)


def score_by_reference(frames: pd.DataFrame) -> dict[str, float]:
    truth, prediction = frames["truth"].to_numpy(), frames["prediction"].to_numpy()
    taus, correlations = [], []
    for clip_id in frames["clip_id"].unique():
        clip = frames[frames["clip_id"] == clip_id]
        taus.append(kendalltau(clip["truth"], clip["prediction"], variant="b").statistic)
        correlations.append(pearsonr(clip["truth"], clip["prediction"]).statistic)
    covariance = np.mean((truth - truth.mean()) * (prediction - prediction.mean()))
    spread = truth.var() + prediction.var() + (truth.mean() - prediction.mean()) ** 2
    return {
        "r2": r2_score(truth, prediction),
        "tau": float(np.mean(taus)),
        "within_r": float(np.mean(correlations)),
        "mae": mean_absolute_error(truth, prediction),
        "rmse": root_mean_squared_error(truth, prediction),
        "ccc": 2 * covariance / spread,
        "spread": prediction.std() / truth.std(),
        "slope": linregress(prediction, truth).slope,
        "bias": prediction.mean() - truth.mean(),
    }


def score_plainly(frames: pd.DataFrame) -> dict[str, float]:
    scores = score_clips(summarise_clips(frames))
    return {metric: float(scores[metric].item()) for metric in METRICS}


def test_metrics_are_those_of_scikit_learn_and_scipy() -> None:
    frames = make_frames()
    assert score_plainly(frames) == pytest.approx(score_by_reference(frames), abs=1e-12)


def test_perfect_prediction_scores_perfectly() -> None:
    frames = make_frames()
    frames["prediction"] = frames["truth"]
    perfect = {"r2": 1, "tau": 1, "within_r": 1, "mae": 0, "rmse": 0, "ccc": 1}
    perfect |= {"spread": 1, "slope": 1, "bias": 0}
    assert score_plainly(frames) == pytest.approx(perfect, abs=1e-12)


@pytest.mark.parametrize("column", ["truth", "prediction"])
def test_tau_of_a_clip_that_never_moves_counts_as_zero_and_is_reported(column: str) -> None:
    frames = make_frames()
    moving = summarise_clips(frames)
    assert moving["constant"].sum() == 0
    frames.loc[frames["clip_id"] == "c03", column] = 0.25
    sums = summarise_clips(frames)
    assert sums.index[sums["constant"] == 1].tolist() == ["c03"]
    assert sums.loc["c03", "tau"] == sums.loc["c03", "correlation"] == 0
    others = moving["tau"].drop("c03").sum()
    assert score_clips(sums)["tau"].item() == pytest.approx(others / N_CLIPS)


def test_relative_metrics_are_undefined_for_constant_labels() -> None:
    frames = make_frames()
    frames["truth"] = 0.1 + 0.2
    scores = score_with_intervals(summarise_clips(frames), 100)
    undefined = {name.partition("_")[0] for name, value in scores.items() if np.isnan(value)}
    assert undefined == {"r2", "ccc", "spread"}
    assert np.isfinite([scores[name] for name in ("tau", "mae", "rmse", "slope", "bias")]).all()


def test_samples_in_which_the_truth_does_not_vary_do_not_reach_intervals() -> None:
    """Of two songs, each of which never moves, every other sample has one song alone."""
    frames = pd.DataFrame({"clip_id": ["a", "a", "b", "b"], "truth": [0.1, 0.1, 0.7, 0.7]})
    frames["prediction"] = [0.2, 0.3, 0.6, 0.8]
    scores = score_with_intervals(summarise_clips(frames), 200)
    both = r2_score(frames["truth"], frames["prediction"])
    assert scores["r2_low"] == scores["r2_high"] == scores["r2"] == pytest.approx(both)
    assert np.isfinite([*scores.values()]).all()


def test_weighted_clips_score_as_repeated_clips() -> None:
    frames = make_frames()
    weights = np.random.default_rng(4).integers(0, 4, (3, N_CLIPS))
    assert (weights == 0).any() and (weights == 3).any()
    weighted = score_clips(summarise_clips(frames), weights)
    for sample, counts in enumerate(weights):
        copies = [
            frames[frames["clip_id"] == f"c{number:02}"].assign(clip_id=f"{number}, copy {copy}")
            for number, count in enumerate(counts)
            for copy in range(count)
        ]
        expected = score_by_reference(pd.concat(copies))
        scores = {metric: weighted[metric][sample] for metric in METRICS}
        assert scores == pytest.approx(expected, abs=1e-12)


def test_interval_of_the_mae_agrees_with_normal_theory() -> None:
    """Errors are equal within a clip, so frames tell no more than their clip does."""
    n_clips, n_frames = 900, 5
    random = np.random.default_rng(6)
    truth = random.uniform(-1, 1, (n_clips, n_frames))
    error = random.normal(0, 1, (n_clips, 1))
    frames = pd.DataFrame(
        {
            "clip_id": np.repeat(np.arange(n_clips), n_frames),
            "truth": truth.ravel(),
            "prediction": (truth + error).ravel(),
        }
    )
    row = score_with_intervals(summarise_clips(frames), 4000)
    half_width = 1.96 * np.sqrt((1 - 2 / np.pi) / n_clips)  # of the half-normal distribution
    low, high = np.abs(error).mean() - half_width, np.abs(error).mean() + half_width
    assert row["mae"] == pytest.approx(np.abs(error).mean())
    assert (row["mae_low"], row["mae_high"]) == pytest.approx((low, high), abs=0.1 * half_width)


def test_intervals_hold_the_scores_and_repeat_themselves() -> None:
    sums = summarise_clips(make_frames())
    row = score_with_intervals(sums, 300)
    assert row == score_with_intervals(sums, 300)
    for metric in METRICS:
        assert row[f"{metric}_low"] < row[metric] < row[f"{metric}_high"]


def test_seeds_are_scored_alone() -> None:
    seeds = [make_frames(seed) for seed in range(4)]
    references = pd.DataFrame([score_by_reference(frames) for frames in seeds])
    row = score_seeds([summarise_clips(frames) for frames in seeds])
    for metric in METRICS:
        assert row[f"{metric}_one_seed"] == pytest.approx(references[metric].mean())
        assert row[f"{metric}_seed_std"] == pytest.approx(references[metric].std())


def test_a_single_seed_has_no_deviation() -> None:
    row = score_seeds([summarise_clips(make_frames())])
    assert all(np.isnan(row[f"{metric}_seed_std"]) for metric in METRICS)


# Training runs: two targets, three seeds, two folds, and annotations of more than was tested.

SEEDS = (7, 8, 9)
SHIFTS = {"arousal": 0.0, "valence": 0.0625}
VALIDATION = {  # (loss, R2) per epoch; neither the last epoch nor the one of the best R2 is kept
    ("arousal", 0): [(0.5, 0.1), (0.2, 0.4), (0.3, 0.9)],
    ("arousal", 1): [(0.1, 0.6), (0.2, 0.7)],
    ("valence", 0): [(0.9, 0.8), (0.8, 0.1), (0.85, 0.2)],
    ("valence", 1): [(0.4, -0.2), (0.3, 0.3), (0.5, 0.0)],
}
KEPT = {"arousal": (0.4 + 0.6) / 2, "valence": (0.1 + 0.3) / 2}


def shift(frames: pd.DataFrame, target: str) -> pd.DataFrame:
    return frames.assign(truth=frames["truth"] + SHIFTS[target])


def write_run(folder: Path) -> None:
    predictions, history = [], []
    for seed in SEEDS:
        for target in TARGETS:
            frames = make_frames(seed).drop(columns="truth")
            fold = (frames["clip_id"] > "c05").astype(int)
            shuffled = frames["prediction"] / 2
            frames = frames.assign(target=target, fold=fold, seed=seed, shuffled=shuffled)
            predictions.append(frames)
    for (target, fold), epochs in VALIDATION.items():
        for seed in SEEDS:
            table = pd.DataFrame(epochs, columns=["validation_loss", "validation_r2"])
            history.append(table.assign(target=target, fold=fold, seed=seed))
    folder.mkdir()
    in_no_order = pd.concat(predictions).sample(frac=1, random_state=1)
    write_table(in_no_order, folder / "predictions.parquet")
    write_table(pd.concat(history), folder / "history.parquet")


@pytest.fixture(scope="module")
def summaries(tmp_path_factory: pytest.TempPathFactory) -> dict[Key, Summary]:
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "AT_64")
    frames = make_frames()
    truth = {target: shift(frames, target)["truth"] for target in TARGETS}
    truth |= {f"{target}_std": 0.3 for target in TARGETS}
    annotations = frames[["clip_id", "time_s"]].assign(**truth)
    unused = annotations.tail(9).assign(clip_id="never tested")
    annotations = pd.concat([unused, annotations]).sample(frac=1, random_state=2)
    means = frames[["clip_id", "time_s"]].assign(baseline="Mean", fold=0, prediction=0.1)
    references = pd.concat(means.assign(target=target) for target in TARGETS)
    write_table(references, folder / "r.parquet")
    return summarise_runs({("chroma", "AT_64"): folder / "AT_64"}, annotations) | (
        summarise_baselines({"chroma": folder / "r.parquet"}, annotations, n_annotators=9)
    )


@pytest.fixture(scope="module")
def all_metrics(summaries: dict[Key, Summary]) -> pd.DataFrame:
    return score_runs(
        summaries, {"chroma": 3}, experiment="made up", protocol="artist", n_samples=50
    )


@pytest.fixture(scope="module")
def metrics(all_metrics: pd.DataFrame) -> pd.DataFrame:
    return all_metrics[all_metrics["kind"] == "model"]


@pytest.mark.parametrize("target", TARGETS)
def test_ceiling_is_what_others_asked_the_same_would_reach(
    all_metrics: pd.DataFrame, target: str
) -> None:
    """Ask nine others of each frame, and score the labels by what all listeners perceive."""
    (row,) = all_metrics[
        (all_metrics["model"] == "Annotators") & (all_metrics["target"] == target)
    ].to_dict("records")
    truth = shift(make_frames(), target)["truth"].to_numpy()
    answers = np.random.default_rng(1).normal(0, 0.3, (4000, len(truth), 9)).mean(axis=2)
    expected = 1 - (answers**2).mean() / truth.var()
    assert row["r2"] == pytest.approx(expected, abs=0.005)
    assert row["mae"] == pytest.approx(np.abs(answers).mean(), rel=0.01)
    assert np.isnan(row["tau"])


def test_shuffled_attention_is_compared_with_the_model_itself(
    summaries: dict[Key, Summary], all_metrics: pd.DataFrame
) -> None:
    compared = compare_runs(summaries, all_metrics, n_samples=100)
    assert compared["question"].tolist() == ["attention"] * 2
    assert set(compared["other"]) == {"AT_64, shuffled"}
    for row in compared.to_dict("records"):
        seeds = [shift(make_frames(seed), row["target"]) for seed in SEEDS]
        averaged = pd.concat(seeds).groupby(["clip_id", "time_s"], as_index=False).mean()
        r2 = r2_score(averaged["truth"], averaged["prediction"])
        halved = r2_score(averaged["truth"], averaged["prediction"] / 2)
        assert row["r2_difference"] == pytest.approx(r2 - halved)
        assert row["tau_difference"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("model", "controls"),
    [
        ("AT_8_4", {"UniformAT_8_4", "BiLSTM_8_4", "LSTM_8_4"}),
        ("BAT_8_4", {"LSTM_8_4"}),
        ("TwoLevel_8_4", {"UniformTwoLevel_8_4"}),
        ("UniformTwoLevel_8_4", set()),
    ],
)
def test_attention_is_compared_with_the_controls_of_the_same_sizes(
    summaries: dict[Key, Summary], all_metrics: pd.DataFrame, model: str, controls: set[str]
) -> None:
    trained = summaries[Key("arousal", "chroma", "AT_64")]
    scores = all_metrics[all_metrics["model"] == "AT_64"].query("target == 'arousal'")
    names = [f"{family}_{sizes}" for family in list_families() for sizes in ("8_4", "8")]
    found = {Key("arousal", "chroma", name): replace(trained, shuffled=None) for name in names}
    scored = pd.concat((scores.assign(model=name) for name in names), ignore_index=True)
    compared = compare_runs(found, scored, n_samples=10)
    compared = compared[(compared["question"] == "attention") & (compared["model"] == model)]
    assert set(compared["other"]) == controls


def test_groups_are_scored_like_whole_corpora(
    summaries: dict[Key, Summary], all_metrics: pd.DataFrame
) -> None:
    genres = {f"c{number:02}": "Jazz" if number % 3 else "Folk" for number in range(N_CLIPS)}
    songs = {"chroma": pd.DataFrame({"genre": genres})}
    groups = score_groups(summaries, all_metrics, songs, n_samples=50)
    assert groups["group"].tolist() == ["Folk", "Jazz"] * 2
    for row in groups.to_dict("records"):
        seeds = [shift(make_frames(seed), row["target"]) for seed in SEEDS]
        averaged = pd.concat(seeds).groupby(["clip_id", "time_s"], as_index=False).mean()
        part = averaged[averaged["clip_id"].map(genres) == row["group"]]
        assert row["n_clips"] == part["clip_id"].nunique()
        assert row["r2"] == pytest.approx(r2_score(part["truth"], part["prediction"]))


@pytest.mark.parametrize("target", TARGETS)
def test_run_is_scored_by_the_average_of_its_seeds(metrics: pd.DataFrame, target: str) -> None:
    (row,) = metrics[metrics["target"] == target].to_dict("records")
    seeds = [shift(make_frames(seed), target) for seed in SEEDS]
    averaged = pd.concat(seeds).groupby(["clip_id", "time_s"], as_index=False).mean()
    alone = pd.DataFrame([score_by_reference(seed) for seed in seeds])
    for metric, expected in score_by_reference(averaged).items():
        # Ties between averages hang on the last bit, and tau counts them.
        assert row[metric] == pytest.approx(expected, abs=5e-3 if metric == "tau" else 1e-8)
        assert row[f"{metric}_one_seed"] == pytest.approx(alone[metric].mean())
        assert row[f"{metric}_seed_std"] == pytest.approx(alone[metric].std())
    assert row["r2"] > row["r2_one_seed"] + 0.005  # the two can be told apart


@pytest.mark.parametrize("target", TARGETS)
def test_validation_r2_is_that_of_the_epochs_that_were_kept(
    metrics: pd.DataFrame, target: str
) -> None:
    (row,) = metrics[metrics["target"] == target].to_dict("records")
    assert row["validation_r2"] == pytest.approx(KEPT[target])


def test_a_validation_set_without_r2_is_judged_by_its_loss(
    tmp_path: Path,
) -> None:
    write_run(tmp_path / "AT_64")
    history = pd.read_parquet(tmp_path / "AT_64/history.parquet")
    is_constant = (history["target"] == "arousal") | (history["fold"] == 1)
    history["validation_r2"] = history["validation_r2"].mask(is_constant)
    write_table(history, tmp_path / "AT_64/history.parquet")
    found = read_validation(tmp_path / "AT_64/history.parquet")
    assert np.isnan(found["arousal"]["validation_r2"])
    assert found["arousal"]["validation_loss"] == pytest.approx((0.2 + 0.1) / 2)
    assert found["valence"] == pytest.approx({"validation_r2": 0.1, "validation_loss": 0.55})


def test_rows_say_what_was_scored(metrics: pd.DataFrame) -> None:
    assert metrics["target"].tolist() == list(TARGETS)
    expected = {
        "experiment": "made up",
        "feature_set": "chroma",
        "model": "AT_64",
        "protocol": "artist",
        "n_features": 3,
        "n_clips": N_CLIPS,
        "n_frames": len(make_frames()),
        "n_seeds": len(SEEDS),
        "constant_clips": 0,
    }
    for row in metrics[list(expected)].to_dict("records"):
        assert row == expected


def test_a_corpus_whose_validation_labels_never_vary_is_evaluated(tmp_path: Path) -> None:
    sequences, clips = make_corpus(32)
    (fold,) = make_folds(clips, Protocol("official", 3, 0.3), seed=1)
    sequences.labels[sequences.find_clips(fold.validation)] = 0.1
    models = ("LSTM_2", "AT_2")
    for model in models:
        train(tmp_path / model, (sequences, clips), name=model)
    frames = sequences.valid
    annotations = pd.DataFrame(
        {
            "clip_id": np.repeat(sequences.clip_ids, frames.sum(axis=1)),
            "time_s": sequences.times[frames],
            **dict(zip(TARGETS, sequences.labels[frames].T.astype(float), strict=True)),
            **{f"{target}_std": np.nan for target in TARGETS},
        }
    )
    found = summarise_runs({("made_up", model): tmp_path / model for model in models}, annotations)
    metrics = score_runs(
        found, {"made_up": 6}, experiment="made up", protocol="official", n_samples=20
    )
    assert metrics["validation_r2"].isna().all()
    groups = score_groups(
        found, metrics, {"made_up": clips.set_index("clip_id")[["artist"]]}, n_samples=20
    )
    chosen = metrics.loc[metrics.groupby("target")["validation_loss"].idxmin()]
    assert groups.groupby("target")["model"].unique().map(list).tolist() == [
        [model] for model in chosen["model"]
    ]
    choices = compare_runs(found, metrics, n_samples=20).query("question == 'choice'")
    assert choices["model"].tolist() == chosen["model"].tolist()
