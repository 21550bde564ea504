"""Build tables that help to judge the scores: comparisons, attention, calibration, groups."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from emotrace import TARGETS
from emotrace.evaluation import comparisons
from emotrace.evaluation.published import name_kind
from emotrace.evaluation.scores import HEARING
from emotrace.evaluation.table import Circumstances, Evaluation, Row, Score, Table, show_score
from emotrace.evaluation.validation import choose_best
from emotrace.models.families import read_family

FEWEST_SONGS = 10
"""Smallest number of songs of a group with an R2; with fewer, R2 depends mostly on the songs."""

P_CAPTION = (
    "p of the difference in R2, adjusted for the number of rows (Holm); left out below "
    f"{comparisons.FEWEST_SONGS} songs"
)


def build_comparison_table(found: Evaluation, target: str, about: Circumstances) -> Table:
    """Compare the chosen model with every other model, on the same songs."""
    rows = found.compare("choice", target, about.feature_set)
    table = Table(
        label=f"comparisons-{target}",
        caption=f"Differences, {target}: the chosen model less each other one on "
        f"{about.feature_set}, on the same bootstrap samples of the songs. {P_CAPTION}, and where "
        "the tested songs chose the model.",
        header=["Chosen", "less", "R2", "tau", "p"],
    )
    for number, (_, row) in enumerate(rows.iterrows()):
        names = ["" if number else row["model"], row["other"]]
        table.rows.append(Row([*names, *_show_differences(row)]))
    return table


def build_attention_table(found: Evaluation, target: str, about: Circumstances) -> Table:
    """Compare attentive models with simpler substitutes for their attention."""
    rows = found.compare("attention", target, about.feature_set)
    controls = _describe_controls(rows["model"])
    table = Table(
        label=f"attention-{target}",
        caption=f"Does attention help, {target}? Attentive models on {about.feature_set} less "
        f"{controls}themselves with weights shuffled among the frames when tested. {P_CAPTION}.",
        header=["Model", "less", "R2", "tau", "p"],
    )
    above = ""
    for _, row in rows.iterrows():
        name = "" if row["model"] == above else row["model"]
        other = row["other"].removeprefix(f"{row['model']}, ")
        table.rows.append(Row([name, other, *_show_differences(row)]))
        above = row["model"]
    return table


def build_calibration_table(found: Evaluation, about: Circumstances) -> Table:
    """Show how far predictions spread, and how well they follow the movement within a clip."""
    table = Table(
        label="calibration",
        caption=f"Dynamics and calibration of the models chosen of each kind on "
        f"{about.feature_set}. Within: correlation of prediction and truth within a clip, mean "
        "over clips. Spread: standard deviation of the predictions in units of the truth's. "
        "Slope: of truth on prediction, 1 if calibrated. Bias: mean error.",
        header=["Target", "Model", "Within", "Spread", "Slope", "Bias"],
    )
    for target in TARGETS:
        rows = found.select(target, about.feature_set, "model")
        kinds = rows["model"].map(name_kind)
        best = [choose_best(rows[kinds == kind]) for kind in dict.fromkeys(kinds)]
        baselines = found.select(target, about.feature_set, "baseline")
        hearing = baselines[baselines["model"].isin(HEARING)]
        shown = [*best, *(row for _, row in hearing.iterrows())]
        for number, row in enumerate(shown):
            scores = [show_score(row, name) for name in ("within_r", "spread", "slope", "bias")]
            role = "ours" if row["kind"] == "model" else "baseline"
            table.rows.append(Row(["" if number else target, row["model"], *scores], role))
    return table


def build_group_table(found: Evaluation, about: Circumstances) -> Table:
    """Score the chosen models on the songs of each genre, and of heard and unheard artists."""
    table = Table(
        label="groups",
        caption=f"Groups of songs: the chosen models on {about.feature_set}, by genre and by "
        "whether another song of the artist could be learnt from (heard, unheard; unknown where "
        "the corpus names no artist). R2 is about the mean of the "
        f"group, and left out below {FEWEST_SONGS} songs.",
        header=["Target", "Model", "Songs", "#", "R2", "MAE", "Bias"],
    )
    groups = found.groups[found.groups["feature_set"] == about.feature_set]
    for target in TARGETS:
        for number, (_, row) in enumerate(groups[groups["target"] == target].iterrows()):
            names = ["", ""] if number else [target, row["model"]]
            artist = f"artist {row['group']}" if row["division"] == "artist" else row["group"]
            r2 = show_score(row, "r2") if row["n_clips"] >= FEWEST_SONGS else Score(float("nan"))
            scores = [r2, show_score(row, "mae"), show_score(row, "bias")]
            table.rows.append(Row([*names, artist, int(row["n_clips"]), *scores]))
    return table


def _describe_controls(models: Iterable[str]) -> str:
    """Describe how the controls of some models differ, such as "with ... (UniformAT)"."""
    families: dict[str, list[str]] = {}
    for family in sorted({model.partition("_")[0] for model in models}):
        for control, difference in read_family(family).controls.items():
            families.setdefault(difference, []).append(control)
    differences = [
        f"{difference} ({', '.join(dict.fromkeys(names))})"
        for difference, names in families.items()
    ]
    if not differences:
        return ""
    *first, last = differences
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"those of the same sizes {listed}, as far as they were trained; and less "


def _show_differences(row: pd.Series) -> list[Score]:
    return [
        show_score(row, "r2_difference"),
        show_score(row, "tau_difference"),
        Score(row["p_adjusted"], digits=3),
    ]
