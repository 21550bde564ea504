"""Differences between models are as sure as they are said to be, and leaks are found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, ttest_1samp

from emotrace.evaluation.comparisons import adjust_for_comparisons, compare_clips
from emotrace.evaluation.metrics import summarise_clips
from emotrace.evaluation.sanity_checks import bound_r2, check_consistency, check_for_leaks
from emotrace.runtime.errors import EmotraceError


def predict(truth: np.ndarray, error: np.ndarray) -> pd.DataFrame:
    """Sum up clips of four frames, whose errors are the same throughout a clip."""
    frames = pd.DataFrame({"clip_id": np.repeat(np.arange(len(truth)), 4)})
    frames["truth"] = np.repeat(truth, 4)
    frames["prediction"] = np.repeat(truth + error, 4)
    return summarise_clips(frames)


def draw(n_clips: int, gain: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Draw two models with a hard part in common; return also p of a paired t test."""
    random = np.random.default_rng(seed)
    truth, common = random.normal(0, 1, n_clips), random.normal(0, 0.5, n_clips)
    errors = [common + random.normal(0, 0.2, n_clips), common * gain]
    errors[1] += random.normal(0, 0.2, n_clips)
    p = ttest_1samp(errors[0] ** 2 - errors[1] ** 2, 0).pvalue
    return predict(truth, errors[0]), predict(truth, errors[1]), p


@pytest.mark.slow
@pytest.mark.parametrize("gain", [1.0, 1.05, 1.1, 1.2])
def test_p_agrees_with_a_paired_t_test_of_squared_errors(gain: float) -> None:
    found, expected = [], []
    for seed in range(12):
        first, second, p = draw(300, gain, seed)
        found.append(compare_clips(first, second, 2000)["p"])
        expected.append(p)
    np.testing.assert_allclose(found, expected, atol=0.06)


@pytest.mark.slow
@pytest.mark.parametrize(("n_clips", "least", "most"), [(10, 0, 0.05), (125, 0.02, 0.08)])
def test_equal_models_differ_significantly_in_at_most_one_case_of_twenty(
    n_clips: int, least: float, most: float
) -> None:
    found = [compare_clips(*draw(n_clips, 1.0, seed)[:2], 300)["p"] for seed in range(300)]
    assert least <= np.mean(np.array(found) < 0.05) <= most


def test_no_p_value_is_given_for_a_handful_of_songs() -> None:
    assert np.isnan(compare_clips(*draw(9, 1.3, 0)[:2], 300)["p"])


def test_constant_labels_give_no_relative_metrics() -> None:
    truth, errors = np.full(12, 0.3), np.random.default_rng(0).normal(0, 0.1, (2, 12))
    compared = compare_clips(*(predict(truth, error) for error in errors), 100)
    undefined = {name for name, value in compared.items() if np.isnan(value)}
    assert undefined == {"p", *(f"r2_difference{end}" for end in ("", "_low", "_high"))}


@pytest.mark.slow
def test_intervals_of_differences_hold_the_truth_as_often_as_they_say() -> None:
    """Of equal models 95 % of the intervals hold zero; of 400, 371 to 389 with luck of 1 in 20."""
    held = 0
    for seed in range(400):
        first, second, _ = draw(60, 1.0, seed)
        row = compare_clips(first, second, 200)
        held += row["r2_difference_low"] <= 0 <= row["r2_difference_high"]
    assert 0.91 <= held / 400 <= 0.98


def test_clips_are_compared_with_themselves_whatever_their_order() -> None:
    first, second, _ = draw(40, 1.1, 3)
    assert compare_clips(first, second, 200) == compare_clips(first, second[::-1], 200)
    same = compare_clips(first, first, 200)
    assert (same["r2_difference"], same["p"]) == (0, 1)


def adjust_plainly(p: list[float]) -> list[float]:
    """Follow Holm's words: the k-th smallest of n counts n - k + 1 times, and none falls below."""
    adjusted, highest = {}, 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = highest
    return [adjusted[index] for index in range(len(p))]


@pytest.mark.parametrize("p", [[], [0.3], [0.01, 0.04, 0.03, 0.005], [0.02, 0.9, 0.02, 0.6]])
def test_p_values_are_adjusted_by_holms_method(p: list[float]) -> None:
    adjusted = adjust_for_comparisons(p)
    np.testing.assert_allclose(adjusted, adjust_plainly(p))
    if p:  # Stricter than a control of the false discovery rate, milder than Bonferroni.
        assert (adjusted >= false_discovery_control(p)).all()
        assert (adjusted <= np.minimum(np.array(p) * len(p), 1)).all()


def make_row(**changes: object) -> pd.DataFrame:
    row = {"target": "arousal", "feature_set": "compare", "model": "AT_64", "kind": "model"}
    row |= {"r2": 0.6, "mae": 0.14, "truth_variance": 0.08, "n_clips": 125}
    return pd.DataFrame([row | changes])


def test_scores_that_only_a_leak_explains_stop_the_run() -> None:
    message = r"arousal, AT_64 on compare: R2 is 0\.971, more than 0\.97.*\nhint: look for"
    with pytest.raises(EmotraceError, match=message):
        check_for_leaks(make_row(r2=0.971))


@pytest.mark.parametrize(
    "changes",
    [{"r2": 0.969}, {"r2": 0.98, "n_clips": 4}, {"kind": "baseline", "r2": 0.98}],
)
def test_plausible_scores_pass_the_sanity_checks(changes: dict[str, object]) -> None:
    check_for_leaks(make_row(**changes))
    check_consistency(make_row(mae=0.01, **changes))


def test_mae_and_r2_that_contradict_each_other_stop_the_run() -> None:
    truth = np.array([0.4, -0.4, 0.2, -0.2])
    error = np.array([0.1, -0.1, 0.1, -0.1])  # as large everywhere: MAE is RMSE
    bound = bound_r2(np.abs(error).mean(), truth.var())
    assert bound == pytest.approx(1 - (error**2).mean() / truth.var())
    possible = make_row(r2=bound, mae=0.1, truth_variance=truth.var())
    check_consistency(possible)
    with pytest.raises(EmotraceError, match=r"cannot both be true.*at most 0\.900\nhint: "):
        check_consistency(possible.assign(r2=bound + 0.01))
