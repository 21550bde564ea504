"""Figures show clips from all corners, and models chosen without looking at the tested clips."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from emotrace import TARGETS
from emotrace.evaluation.choices import choose_examples, spread_clips
from emotrace.evaluation.validation import choose_best
from emotrace.runtime.errors import EmotraceError

QUADRANTS = {"happy": (1, 1), "angry": (1, -1), "calm": (-1, 1), "sad": (-1, -1)}
"""Signs of arousal and valence, in the order in which clips are shown."""


def make_annotations() -> pd.DataFrame:
    """Make up, per quadrant, a mild clip, a far one, and one extreme in a single emotion.

    The emotions have unlike spreads, and all values lie above zero.
    """
    rows = []
    for name, (arousal, valence) in QUADRANTS.items():
        for kind, (out_arousal, out_valence) in {
            "mild": (0.3, 0.3),
            "far": (0.8, 0.7),
            "loud": (1.0, 0.1),
            "tinted": (0.1, 1.0),
        }.items():
            for frame, wobble in enumerate((-0.1, 0.0, 0.1)):
                rows.append(
                    {
                        "clip_id": f"{name}-{kind}",
                        "time_s": frame / 2,
                        "arousal": 0.5 + 0.3 * arousal * out_arousal + wobble,
                        "valence": 0.7 + 0.05 * valence * out_valence + wobble,
                    }
                )
    return pd.DataFrame(rows).sample(frac=1, random_state=1)


def make_metrics() -> pd.DataFrame:
    """Make up scores in which the tested clips speak against every right choice."""
    scores = [  # feature set, model, validation R2, R2
        ("chroma", "LSTM_8", 0.5, 0.9),
        ("chroma", "AT_8", 0.7, 0.1),
        ("chroma", "AT_16", 0.6, 0.8),
        ("chroma", "AT_8_8", 0.4, 0.7),
        ("compare", "AT_32", 0.99, 0.99),
        ("compare", "BAT_32", 0.98, 0.98),
        ("compare", "TwoLevel_8", 0.97, 0.97),
    ]
    rows = []
    for feature_set, model, validation_r2, r2 in scores:
        for target in TARGETS:
            # Another model is best for valence, so that the targets cannot be mixed up.
            bonus = 0.5 if (model, target) == ("AT_8_8", "valence") else 0.0
            row = {"feature_set": feature_set, "model": model, "target": target, "r2": r2}
            rows.append({**row, "validation_r2": validation_r2 + bonus})
    return pd.DataFrame(rows)


def choose(
    *,
    clips: tuple[str, ...] = (),
    metrics: pd.DataFrame | None = None,
    families: tuple[str, ...] = ("AT",),
) -> dict[str, object]:
    annotations = make_annotations()
    metrics = make_metrics() if metrics is None else metrics
    return choose_examples(
        metrics[metrics["feature_set"] == "chroma"],
        annotations,
        [clip_id for clip_id in annotations["clip_id"].unique() if clip_id != "happy-far"],
        feature_set="chroma",
        baseline="LSTM_8",
        families=families,
        clips=clips,
    )


def test_clips_are_the_furthest_out_in_each_quadrant() -> None:
    assert spread_clips(make_annotations()) == [f"{name}-far" for name in QUADRANTS]


def test_clips_are_chosen_among_the_tested_ones() -> None:
    assert choose()["clips"] == ["happy-mild", "angry-far", "calm-far", "sad-far"]


@pytest.mark.parametrize("n_clips", [1, 2, 3])
def test_few_clips_are_shown_once_each(n_clips: int) -> None:
    kept = [f"{name}-far" for name in itertools.islice(QUADRANTS, n_clips)]
    annotations = make_annotations()
    chosen = spread_clips(annotations[annotations["clip_id"].isin(kept)])
    assert sorted(chosen) == sorted(kept)


def test_clips_named_in_the_config_are_shown_in_that_order() -> None:
    assert choose(clips=("sad-mild", "calm-loud"))["clips"] == ["sad-mild", "calm-loud"]


@pytest.mark.parametrize("clip_id", ["happy-far", "no such clip"])
def test_a_clip_that_was_never_tested_is_refused_by_name(clip_id: str) -> None:
    with pytest.raises(EmotraceError, match=rf"figures\.clips: {clip_id} has no .*\nhint: .*-"):
        choose(clips=("sad-mild", clip_id))


def test_models_are_chosen_by_the_validation_set_of_the_shown_feature_set() -> None:
    examples = choose()
    assert examples["best"] == {"arousal": "AT_8", "valence": "AT_8_8"}
    assert examples["AT"] == examples["best"]
    assert (examples["feature_set"], examples["baseline"]) == ("chroma", "LSTM_8")


def test_the_best_of_all_families_and_of_each_may_differ() -> None:
    metrics = make_metrics()
    metrics.loc[metrics["model"] == "LSTM_8", "validation_r2"] = 0.95
    examples = choose(metrics=metrics)
    assert examples["best"] == dict.fromkeys(TARGETS, "LSTM_8")
    assert examples["AT"] == {"arousal": "AT_8", "valence": "AT_8_8"}


def test_the_best_row_is_that_of_the_highest_validation_r2() -> None:
    metrics = make_metrics().sample(frac=1, random_state=2)
    assert choose_best(metrics)["validation_r2"] == np.max(metrics["validation_r2"])


def test_where_no_model_has_a_validation_r2_the_lowest_loss_decides() -> None:
    metrics = make_metrics()
    metrics = metrics.assign(validation_loss=1 - metrics["validation_r2"], validation_r2=np.nan)
    assert choose(metrics=metrics)["best"] == {"arousal": "AT_8", "valence": "AT_8_8"}
    # One loss says nothing where another row has an R2.
    metrics.loc[metrics["model"] == "AT_16", "validation_r2"] = -3.0
    assert choose(metrics=metrics)["best"] == dict.fromkeys(TARGETS, "AT_16")


@pytest.mark.parametrize(
    ("trained", "families"),
    [
        (["LSTM_8"], ()),
        (["LSTM_8", "AT_16"], ("AT",)),
        (["BAT_32"], ("BAT",)),
        (["TwoLevel_8"], ("TwoLevel",)),
    ],
)
def test_models_are_chosen_of_the_families_that_are_drawn_alone(
    trained: list[str], families: tuple[str, ...]
) -> None:
    metrics = make_metrics()
    metrics = metrics[metrics["model"].isin(trained)].assign(feature_set="chroma")
    examples = choose(metrics=metrics, families=families)
    assert set(examples) == {"feature_set", "clips", "baseline", "best", *families}
    for family in families:
        assert examples[family] == dict.fromkeys(TARGETS, trained[-1])
