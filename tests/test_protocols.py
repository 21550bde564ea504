"""Clips are divided so that what is tested was never trained on."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from emotrace.errors import EmotraceError
from emotrace.training.protocols import Fold, find_known, make_folds, refuse_overlaps

N_FOLDS = 5
N_CLIPS = 60


def make_clips() -> pd.DataFrame:
    """Make up 60 clips: prolific artists with both splits, rare ones, and unknown ones."""
    artists = np.resize(["Ada", "Bo", "Bo", "Cy", "Dee", "Eve", "Flo", "Gus"], N_CLIPS).astype(
        object
    )
    artists[20:40] = [f"rare {number}" for number in range(20)]
    artists[40:46] = [None, np.nan, "", "  ", None, ""]
    return pd.DataFrame(
        {
            "clip_id": [f"{number:03}" for number in np.random.default_rng(1).permutation(N_CLIPS)],
            "artist": artists,
            "split": np.where(np.arange(N_CLIPS) % 4 == 0, "evaluation", "development"),
        }
    )


def divide(clips: pd.DataFrame, protocol: str, seed: int = 1, n_folds: int = N_FOLDS) -> list[Fold]:
    return make_folds(clips, protocol=protocol, n_folds=n_folds, validation_share=0.2, seed=seed)


def find_artists(clips: pd.DataFrame, clip_ids: tuple[str, ...]) -> set[str]:
    """Return the known artists of clips."""
    named = clips.set_index("clip_id")["artist"].loc[list(clip_ids)].dropna().str.strip()
    return set(named) - {""}


@pytest.mark.parametrize("protocol", ["official", "artist", "paper"])
def test_every_fold_uses_every_clip_once(protocol: str) -> None:
    clips = make_clips()
    for fold in divide(clips, protocol):
        parts = (
            [fold.fit, fold.test] if protocol == "paper" else [fold.fit, fold.validation, fold.test]
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
    clips.loc[3, "split"] = "other"
    (fold,) = divide(clips, "official")
    splits = clips.set_index("clip_id")["split"]
    assert set(fold.test) == set(splits.index[splits == "evaluation"])
    assert set(fold.fit + fold.validation) == set(splits.index[splits == "development"])


@pytest.mark.parametrize("protocol", ["official", "artist"])
@pytest.mark.parametrize("seed", range(5))
def test_no_artist_is_on_both_sides(protocol: str, seed: int) -> None:
    clips = make_clips()
    for fold in divide(clips, protocol, seed):
        fit, validation = find_artists(clips, fold.fit), find_artists(clips, fold.validation)
        assert fit and validation and not fit & validation
        if protocol == "artist":
            assert not find_artists(clips, fold.test) & (fit | validation)


@pytest.mark.parametrize("protocol", ["official", "artist"])
def test_validation_part_has_about_its_share(protocol: str) -> None:
    for fold in divide(make_clips(), protocol):
        share = len(fold.validation) / len(fold.validation + fold.fit)
        assert 0.2 <= share < 0.45  # the last artist drawn may be the most prolific


def test_spelling_does_not_make_another_artist() -> None:
    clips = pd.DataFrame(
        {"clip_id": list("abcdef"), "artist": ["Björk", " björk", "BJÖRK ", "Nico", "nico", "Can"]}
    )
    for fold in divide(clips, "artist", n_folds=3):
        assert set(fold.test) in ({"a", "b", "c"}, {"d", "e"}, {"f"})


@pytest.mark.parametrize("missing", [None, np.nan, "", " "])
def test_clips_without_an_artist_are_artists_of_their_own(missing: str | float | None) -> None:
    clips = make_clips().assign(artist=missing)
    folds = divide(clips, "artist", n_folds=N_CLIPS // 2)
    assert {len(fold.test) for fold in folds} == {2}
    assert all(len(fold.validation) == round(0.2 * (N_CLIPS - 2)) for fold in folds)


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
        ("official", {"artist": "Ada"}, N_FOLDS, r"protocol: .*all by one artist"),
    ],
)
def test_impossible_division_names_the_config_key(
    protocol: str, changes: dict[str, str | None], n_folds: int, expected: str
) -> None:
    with pytest.raises(EmotraceError, match=rf"(?m)^{expected}[\s\S]*^hint: ."):
        divide(make_clips().assign(**changes), protocol, n_folds=n_folds)


@pytest.mark.parametrize(
    ("protocol", "changes", "message"),
    [
        ("official", {"fit": ("a", "c")}, "fold 3: models are fitted on clip c and tested on it"),
        ("official", {"validation": ("d",)}, "fold 3: models are stopped by clip d"),
        ("paper", {"fit": ("a", "d")}, "fold 3: models are fitted on clip d"),
        ("artist", {"fit": ("a", "e")}, "clip c: its artist is among the tested and among the"),
        ("artist", {"validation": ("e",)}, "clip c: its artist is among the tested"),
    ],
)
def test_planted_leaks_between_the_parts_of_a_fold_are_refused(
    protocol: str, changes: dict[str, tuple[str, ...]], message: str
) -> None:
    clips = pd.DataFrame({"clip_id": list("abcde"), "artist": ["Ada", "Bo", "Cy", "Dee", " cy "]})
    parts = {"fit": ("a",), "validation": ("b",), "test": ("c", "d")}
    refuse_overlaps(clips, [Fold(3, **parts)], protocol)
    with pytest.raises(EmotraceError, match=message):
        refuse_overlaps(clips, [Fold(3, **parts | changes)], protocol)


def test_the_published_protocol_may_stop_by_what_it_tests_and_the_official_share_artists() -> None:
    clips = pd.DataFrame({"clip_id": list("abc"), "artist": ["Ada", "Bo", "Ada"]})
    refuse_overlaps(clips, [Fold(0, ("a",), ("b", "c"), ("b", "c"))], "paper")
    refuse_overlaps(clips, [Fold(0, ("a",), ("b",), ("c",))], "official")


def test_known_artists_are_those_that_could_be_learnt_from() -> None:
    clips = pd.DataFrame(
        {"clip_id": list("abcdef"), "artist": ["Ada", "Bo", "ada ", "Cy", None, ""]}
    )
    folds = [Fold(0, ("a", "e"), ("b",), ("c", "d")), Fold(1, ("a",), ("b", "f"), ("b", "f"))]
    assert find_known(clips, folds).to_dict() == {"c": True, "d": False, "b": False, "f": False}
