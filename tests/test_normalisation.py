"""Normalisation agrees with scikit-learn and numpy, and tames columns that hardly vary."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from emotrace.training import normalisation as module
from emotrace.training.normalisation import fit_normalisation

LIMIT = 3.0
SCALINGS = ("robust", "z_score")


def make_frames(n_frames: int = 2001) -> np.ndarray:
    """Draw columns of unlike scale and shape: normal, skewed, heavy-tailed, discrete."""
    random = np.random.default_rng(2)
    columns = [
        random.normal(1000, 1, n_frames),
        random.lognormal(0, 1, n_frames) * 1e-4,
        random.standard_cauchy(n_frames) * 1e4,
        random.integers(0, 7, n_frames),
    ]
    return np.column_stack(columns).astype(np.float32)


def test_z_score_is_that_of_scikit_learn_clipped() -> None:
    train, test = make_frames()[:1500], make_frames()[1500:]
    normalised = fit_normalisation(train, scaling="z_score", limit=LIMIT).apply(test)
    scaler = StandardScaler().fit(train.astype(np.float64))
    expected = np.clip(scaler.transform(test.astype(np.float64)), -LIMIT, LIMIT)
    np.testing.assert_allclose(normalised, expected, atol=2e-4)
    assert normalised.dtype == np.float32
    assert np.abs(expected).max() == LIMIT


@pytest.mark.parametrize(("n_frames", "tolerance"), [(2001, 1e-6), (1234, 0.02)])
def test_robust_scaling_is_that_of_percentiles(n_frames: int, tolerance: float) -> None:
    """With 2001 frames the percentiles are values; else the nearest value stands for them."""
    frames = make_frames(n_frames)
    normalisation = fit_normalisation(frames, scaling="robust", limit=LIMIT)
    low, median, high = np.percentile(frames.astype(np.float64), [5, 50, 95], axis=0)
    spread = (high - low) / 3.29
    np.testing.assert_allclose((normalisation.centre - median) / spread, 0, atol=tolerance)
    np.testing.assert_allclose(normalisation.scale / spread, 1, atol=tolerance)
    expected = np.clip((frames - median) / spread, -LIMIT, LIMIT)
    np.testing.assert_allclose(normalisation.apply(frames), expected, atol=4 * tolerance + 2e-4)


def test_robust_scaling_leaves_a_normal_column_at_unit_variance() -> None:
    normal = np.random.default_rng(3).normal(5, 20, (20_000, 1)).astype(np.float32)
    normalised = fit_normalisation(normal, scaling="robust", limit=10).apply(normal)
    assert normalised.mean() == pytest.approx(0, abs=0.03)
    assert normalised.std() == pytest.approx(1, abs=0.03)


def test_column_mostly_at_one_value_is_scaled_by_its_standard_deviation() -> None:
    frames = make_frames(1000)
    frames[:, 1] = 0
    frames[::50, 1] = 8
    normalisation = fit_normalisation(frames, scaling="robust", limit=LIMIT)
    assert normalisation.kept.all()
    assert normalisation.scale[1] == pytest.approx(frames[:, 1].std())


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize(
    ("level", "kind"),
    [
        (0.0, "constant"),
        (-7e5, "constant"),
        (1e-3, "rounding"),
        (7e5, "rounding"),
        (0.0, "rare"),
        (1e-3, "rare"),
    ],
)
def test_near_constant_column_is_dropped(scaling: str, level: float, kind: str) -> None:
    frames = make_frames(1000)
    column = np.full(len(frames), level, dtype=np.float32)
    if kind == "rounding":
        column[::2] = np.nextafter(column[::2], np.float32(np.inf))
    elif kind == "rare":
        column[:9] += 1e3  # in less than a hundredth of the frames
    frames[:, 2] = column
    normalisation = fit_normalisation(frames, scaling=scaling, limit=LIMIT)
    assert normalisation.kept.tolist() == [True, True, False, True]
    assert normalisation.apply(frames).shape == (1000, 3)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_hundredth_of_the_frames_suffices_to_keep_a_column(scaling: str) -> None:
    frames = make_frames(1000)
    frames[:, 2] = 0
    frames[:10, 2] = 1
    assert fit_normalisation(frames, scaling=scaling, limit=LIMIT).kept.all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_column_that_explodes_on_test_clips_stays_within_the_limit(scaling: str) -> None:
    frames = make_frames()
    test = np.tile(frames[:60], (4, 1, 1))  # (clips, frames, features)
    test[2, 5] = 1e30
    test[3, 7] = -1e30
    normalised = fit_normalisation(frames, scaling=scaling, limit=LIMIT).apply(test)
    assert normalised.shape == test.shape
    assert normalised.min() == -LIMIT and normalised.max() == LIMIT
    assert (normalised[2, 5] == LIMIT).all() and (normalised[3, 7] == -LIMIT).all()
    np.testing.assert_array_equal(normalised[2, 6:], normalised[0, 6:])


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("n_features", [1, 32, 33, 200])
def test_blocks_of_columns_are_learnt_to_the_bit_as_all_at_once(
    n_features: int, scaling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(7)
    wide = 10 ** random.uniform(-9, 9, (1000, n_features)).astype(np.float32)
    frames = np.concatenate([wide, -wide, wide])
    frames[:, 1::9] = 5
    # Mean zero but for rounding, which tells in what order the frames were added up.
    rows = random.permutation(2000)
    in_blocks = [
        fit_normalisation(frames, rows, scaling=scaling, limit=LIMIT),
        fit_normalisation(frames[rows], scaling=scaling, limit=LIMIT),
    ]
    monkeypatch.setattr(module, "COLUMNS_AT_ONCE", n_features)
    at_once = fit_normalisation(frames[rows], scaling=scaling, limit=LIMIT)
    for found in in_blocks:
        for name in ("kept", "centre", "scale"):
            np.testing.assert_array_equal(getattr(found, name), getattr(at_once, name))


@pytest.mark.parametrize("scaling", SCALINGS)
def test_input_is_not_modified(scaling: str) -> None:
    frames = make_frames()
    before = frames.copy()
    fit_normalisation(frames, scaling=scaling, limit=LIMIT).apply(frames)
    np.testing.assert_array_equal(frames, before)
