"""Clips are divided so that what is tested was never trained on."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from emotrace import TARGETS
from emotrace.evaluation.scores import divide_songs
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.folds import (
    Fold,
    check_labels_vary,
    check_overlaps,
    describe_division,
    find_known,
    make_folds,
)
from emotrace.splits.groups import describe_twins, name_artists
from emotrace.splits.protocol import Protocol

N_FOLDS = 5
N_CLIPS = 60
FOURS = list(np.arange(N_CLIPS) // 4)


def make_clips() -> pd.DataFrame:
    """Make up 60 clips: prolific artists with both splits, rare ones, and unknown ones."""
    artists = np.resize(["Ada", "Bo", "Bo", "Cy", "Dee", "Eve", "Flo", "Gus"], N_CLIPS).astype(
        object
    )
    artists[20:40] = [f"rare {number}" for number in range(20)]
    artists[40:46] = [None, np.nan, "", "  ", None, ""]
    numbers = np.random.default_rng(1).permutation(N_CLIPS)
    splits = np.where(np.arange(N_CLIPS) % 4 == 0, "evaluation", "development")
    return describe(artists, splits, [f"{number:03}" for number in numbers])


def describe(artists: object, splits: object = "", clip_ids: object = None) -> pd.DataFrame:
    """Return clips of the given artists, no two of which have the same audio."""
    clips = pd.DataFrame({"artist": artists, "split": splits})
    clips["clip_id"] = list("abcdefghijkl")[: len(clips)] if clip_ids is None else clip_ids
    clips["sha256"] = "file " + clips["clip_id"]
    clips["samples_sha256"] = "samples " + clips["clip_id"]
    return clips


def divide(clips: pd.DataFrame, protocol: str, seed: int = 1, n_folds: int = N_FOLDS) -> list[Fold]:
    return make_folds(clips, Protocol(protocol, n_folds, 0.2), seed=seed)


def find_artists(clips: pd.DataFrame, clip_ids: tuple[str, ...]) -> set[str]:
    """Return the known artists of clips."""
    named = clips.set_index("clip_id")["artist"].loc[list(clip_ids)].dropna().str.strip()
    return set(named) - {""}


@pytest.mark.parametrize("protocol", ["official", "artist", "paper"])
def test_every_fold_uses_every_clip_once(protocol: str) -> None:
    clips = make_clips()
    for fold in divide(clips, protocol):
        parts = (
            [fold.training, fold.test]
            if protocol == "paper"
            else [fold.training, fold.validation, fold.test]
        )
        assert all(parts)
        assert sorted(sum(parts, ())) == sorted(clips["clip_id"])
        if protocol == "paper":
            assert fold.validation == fold.test


@pytest.mark.parametrize("protocol", ["artist", "paper"])
def test_every_clip_is_tested_once_in_folds_of_equal_size(protocol: str) -> None:
    clips = make_clips()
    folds = divide(clips, protocol)
    assert [fold.number for fold in folds] == list(range(N_FOLDS))
    assert Counter(clip for fold in folds for clip in fold.test) == Counter(clips["clip_id"])
    assert {len(fold.test) for fold in folds} == {N_CLIPS // N_FOLDS}


def test_official_tests_the_evaluation_clips_and_ignores_clips_of_no_split() -> None:
    clips = make_clips()
    clips.loc[[1, 2], "split"] = None
    (fold,) = divide(clips, "official")
    splits = clips.set_index("clip_id")["split"]
    assert set(fold.test) == set(splits.index[splits == "evaluation"])
    assert set(fold.training + fold.validation) == set(splits.index[splits == "development"])
    assert "Clips of no split, which take no part: 2 of 60." in describe_division(clips, "official")


@pytest.mark.parametrize("protocol", ["official", "artist"])
@pytest.mark.parametrize("seed", range(5))
def test_no_artist_is_on_both_sides(protocol: str, seed: int) -> None:
    clips = make_clips()
    for fold in divide(clips, protocol, seed):
        fit, validation = find_artists(clips, fold.training), find_artists(clips, fold.validation)
        assert fit and validation and not fit & validation
        if protocol == "artist":
            assert not find_artists(clips, fold.test) & (fit | validation)


@pytest.mark.parametrize("protocol", ["official", "artist"])
def test_validation_set_has_about_its_fraction(protocol: str) -> None:
    for fold in divide(make_clips(), protocol):
        share = len(fold.validation) / len(fold.validation + fold.training)
        assert 0.2 <= share < 0.45  # the last artist drawn may be the most prolific


@pytest.mark.parametrize(
    "spellings",
    [
        ["Sigur Rós", " sigur rós", "SIGUR RÓS "],
        ["Sigur Rós", unicodedata.normalize("NFD", "Sigur Rós"), "SIGUR RO\u0301S"],
        ["Sigur Rós", "Sigur  Rós", "Sigur\u00a0Rós"],
        ["Sigur Rós", "Ｓｉｇｕｒ　Ｒóｓ", "Si\u00adgur Rós\u200b"],
    ],
)
def test_spelling_does_not_make_another_artist(spellings: list[str]) -> None:
    clips = describe([*spellings, "Nico", "nico", "Can"])
    for fold in divide(clips, "artist", n_folds=3):
        assert set(fold.test) in ({"a", "b", "c"}, {"d", "e"}, {"f"})


@pytest.mark.parametrize("missing", [None, np.nan, "", " ", "\u200b"])
def test_clips_without_an_artist_are_artists_of_their_own(missing: str | float | None) -> None:
    clips = make_clips()
    clips["artist"] = pd.Series(["Ada"] + [missing] * (N_CLIPS - 1), dtype=object)
    folds = divide(clips, "artist", n_folds=N_CLIPS // 2)
    assert {len(fold.test) for fold in folds} == {2}
    assert all(len(fold.validation) == round(0.2 * (N_CLIPS - 2)) for fold in folds)
    assert describe_division(clips, "artist") == [
        "Clips whose artist is not known, each of which counts as an artist of its own: 59 of 60."
    ]


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("official", "96d9e67b10ad9090"),
        ("artist", "8d145bf34cd32f84"),
        ("paper", "11d18f47447038d7"),
    ],
)
def test_folds_of_a_corpus_without_twins_are_unchanged(protocol: str, expected: str) -> None:
    folds = divide(make_clips(), protocol, n_folds=10)
    drawn = [(fold.number, fold.training, fold.validation, fold.test) for fold in folds]
    assert hashlib.sha256(repr(drawn).encode()).hexdigest()[:16] == expected


def test_folds_do_not_depend_on_how_an_artist_is_written_throughout() -> None:
    """A folded name may have another place among the names, from which the folds are drawn."""
    artists = ["…Trail of Dead", "Nico", "Can", "Zoé", "Ada", "Bo"]
    folded = ["\u2026trail of dead", "nico", "can", "zoé", "ada", "bo"]
    assert name_artists(describe(artists)).tolist() == folded


def plant_twins(clips: pd.DataFrame, *groups: tuple[str, ...]) -> pd.DataFrame:
    """Give clips equal audio: the first two of each group equal files, the others equal samples."""
    clips = clips.set_index("clip_id", drop=False)
    for first, second, *others in groups:
        clips.loc[second, "sha256"] = clips.loc[first, "sha256"]
        for other in others:
            clips.loc[other, "samples_sha256"] = clips.loc[second, "samples_sha256"]
    return clips.reset_index(drop=True)


def are_apart(twins: tuple[str, ...], *parts: tuple[str, ...]) -> bool:
    """Tell whether equal audio lies in more than one part of a fold."""
    return sum(bool({*twins} & {*part}) for part in parts) > 1


@pytest.mark.parametrize("protocol", ["official", "artist", "paper"])
@pytest.mark.parametrize("seed", range(3))
def test_equal_audio_is_on_one_side_of_every_fold(protocol: str, seed: int) -> None:
    clips = make_clips()
    ids = clips["clip_id"]
    groups = [tuple(ids[start : start + 3]) for start in range(0, 48, 3)]
    assert any(
        are_apart(twins, *list_parts(fold, protocol))
        for fold in divide(clips, protocol, seed)
        for twins in groups
    )
    folds = divide(plant_twins(clips, *groups), protocol, seed)
    for fold in folds:
        assert fold.training and fold.validation and fold.test
        for twins in groups:
            assert not are_apart(twins, *list_parts(fold, protocol))
    if protocol != "official":
        assert Counter(clip for fold in folds for clip in fold.test) == Counter(ids)


def list_parts(fold: Fold, protocol: str) -> list[tuple[str, ...]]:
    return [fold.training, fold.test] + ([] if protocol == "paper" else [fold.validation])


def test_official_tests_all_evaluation_clips_and_learns_from_none_of_their_twins() -> None:
    clips = make_clips()
    development, evaluation = (
        clips.loc[clips["split"] == split, "clip_id"].tolist()
        for split in ("development", "evaluation")
    )
    twins = (evaluation[0], development[0], development[1])
    clips = plant_twins(clips, twins)
    (fold,) = divide(clips, "official")
    assert sorted(fold.test) == sorted(evaluation)
    assert sorted(fold.training + fold.validation) == sorted(development[2:])
    names = (f"{clip_id} (" for clip_id in twins)
    (line,) = describe_twins(clips)
    assert line.startswith("the same audio: ") and all(name in line for name in names)
    expected = "Development clips with the same audio as an evaluation clip, which are not learnt"
    assert any(
        remark.startswith(expected) and remark.endswith(": 2 of 60.")
        for remark in describe_division(clips, "official")
    )


def test_equal_audio_is_by_one_artist_whatever_the_clips_say() -> None:
    clips = plant_twins(describe(["", "Nico", "Nico & Co", "Can"]), ("a", "b", "c"))
    assert name_artists(clips).tolist() == ["nico", "nico", "nico", "can"]


@pytest.mark.parametrize("protocol", ["official", "artist", "paper"])
def test_seeds_share_the_tested_clips_and_draw_their_own_validation(protocol: str) -> None:
    clips = make_clips()
    one, again, other = (divide(clips, protocol, seed) for seed in (1, 1, 2))
    assert one == again
    assert [fold.test for fold in one] == [fold.test for fold in other]
    if protocol != "paper":
        pairs = zip(one, other, strict=True)
        assert all(mine.validation != theirs.validation for mine, theirs in pairs)


@pytest.mark.parametrize("protocol", ["official", "artist", "paper"])
def test_order_of_rows_is_irrelevant(protocol: str) -> None:
    clips = make_clips()
    shuffled = clips.sample(frac=1, random_state=3)
    assert divide(clips, protocol) == divide(shuffled, protocol)


@pytest.mark.parametrize(
    ("protocol", "changes", "n_folds", "expected"),
    [
        ("official", {"split": None}, N_FOLDS, r"protocol\.name: .*no splits"),
        ("official", {"split": "development"}, N_FOLDS, r"protocol\.name: .*'development'$"),
        ("artist", {}, 35, r"protocol\.folds: 35 folds .* 33 artists"),
        ("paper", {}, 61, r"protocol\.folds: 61 folds .* 60 clips"),
        ("artist", {"artist": "Ada"}, N_FOLDS, r"protocol\.folds: 5 folds .* 1 artists"),
        ("artist", {"artist": ""}, N_FOLDS, r"protocol\.name: artist .*none of the 60 clips has"),
        ("paper", {"sha256": "same"}, N_FOLDS, r"protocol\.folds: 5 folds .* 1 clips, equal audio"),
        ("official", {"sha256": FOURS}, N_FOLDS, r"protocol: .*all have the same audio as a test"),
        ("official", {"artist": "Ada"}, N_FOLDS, r"protocol: .*all by one artist"),
    ],
)
def test_impossible_division_names_the_config_key(
    protocol: str, changes: dict[str, object], n_folds: int, expected: str
) -> None:
    with pytest.raises(EmotraceError, match=rf"(?m)^{expected}[\s\S]*^hint: ."):
        divide(make_clips().assign(**changes), protocol, n_folds=n_folds)


@pytest.mark.parametrize(
    ("protocol", "changes", "message"),
    [
        (
            "official",
            {"training": ("a", "c")},
            "fold 3: models are trained on clip c and tested on",
        ),
        ("official", {"validation": ("d",)}, "fold 3: models are stopped by clip d and tested on"),
        ("official", {"validation": ("a",)}, "fold 3: models are trained on clip a and stopped by"),
        ("paper", {"training": ("a", "d")}, "fold 3: models are trained on clip d"),
        (
            "artist",
            {"training": ("a", "e")},
            "trained on clip e and tested on clip c, which is by",
        ),
        ("artist", {"validation": ("e",)}, "stopped by clip e and tested on clip c, which is by"),
        (
            "official",
            {"training": ("c",), "validation": ("e",), "test": ("d",)},
            "stopped by clip e, wh",
        ),
        (
            "official",
            {"training": ("a", "f")},
            "trained on clip f and tested on clip d, which has",
        ),
        ("official", {"validation": ("f",)}, "stopped by clip f and tested on clip d, which has"),
        (
            "official",
            {"training": ("d",), "validation": ("f",), "test": ()},
            "stopped by clip f, wh",
        ),
        (
            "paper",
            {"training": ("f",)},
            "trained on clip f and tested on clip d, which has",
        ),
    ],
)
def test_planted_leaks_between_the_parts_of_a_fold_are_refused(
    protocol: str, changes: dict[str, tuple[str, ...]], message: str
) -> None:
    clips = describe(["Ada", "Bo", "Cy", "Dee", " cy ", "Eve"])
    clips = plant_twins(clips, ("d", "f"))
    parts = {"training": ("a",), "validation": ("b",), "test": ("c", "d")}
    check_overlaps(clips, [Fold(3, **parts)], protocol)
    with pytest.raises(EmotraceError, match=message):
        check_overlaps(clips, [Fold(3, **parts | changes)], protocol)


def test_the_published_protocol_may_stop_by_what_it_tests_and_the_official_share_artists() -> None:
    clips = describe(["Ada", "Bo", "Ada"])
    check_overlaps(clips, [Fold(0, ("a",), ("b", "c"), ("b", "c"))], "paper")
    check_overlaps(clips, [Fold(0, ("a",), ("b",), ("c",))], "official")


def test_known_artists_are_those_that_could_be_learnt_from() -> None:
    clips = describe(["Ada", "Bo", "ada ", "Cy", None, ""])
    folds = [Fold(0, ("a", "e"), ("b",), ("c", "d")), Fold(1, ("a",), ("b", "f"), ("b", "f"))]
    assert find_known(clips, folds).to_dict() == {"c": True, "d": False, "b": False, "f": False}


def test_songs_whose_artist_nobody_names_are_neither_heard_nor_unheard() -> None:
    clips = describe(["Ada", "Ada", "Bo", "", None, "Cy"], ["evaluation", "development"] * 3)
    clips["genre"] = ["Folk", "", "folk ", "", "Ｆolk", "Folk"]
    protocol = Protocol("official", 2, 0.2)
    songs = divide_songs(clips, protocol)
    assert songs["artist"].to_dict() == {"a": "heard", "c": "unheard", "e": "unknown"}
    assert songs["genre"].to_dict() == {"a": "Folk", "c": "Folk", "e": "Folk"}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("constant", "where"),
    [("cd", "tested clips"), ("ab", "training clips of fold 0"), ("abcd", "tested clips")],
)
def test_labels_that_are_constant_in_training_or_test_sets_are_refused(
    target: str, constant: str, where: str
) -> None:
    random = np.random.default_rng(0)
    annotations = pd.DataFrame({"clip_id": np.repeat(list("abcd"), 3)})
    for name in TARGETS:
        annotations[name] = random.uniform(-1, 1, len(annotations))
    folds = [Fold(0, ("a",), ("b",), ("c", "d"))]
    check_labels_vary(folds, annotations)
    # Rounding makes no variation.
    values = [0.3, 0.1 + 0.2] * 6
    annotations[target] = annotations[target].where(
        ~annotations["clip_id"].isin([*constant]), values
    )
    with pytest.raises(EmotraceError, match=rf"^annotations: {target} is 0\.3 .* {where}"):
        check_labels_vary(folds, annotations)
    # Scores are pooled over folds.
    halves = [Fold(0, ("a", "b"), ("a", "b"), ("c", "d")), Fold(1, ("c", "a"), ("c",), ("b",))]
    if constant == "cd":
        check_labels_vary(halves, annotations)
