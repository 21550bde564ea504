"""Build the paper's tables: model selection, best results of each kind, and feature sets."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from emotrace import TARGETS
from emotrace.evaluation.comparisons import SIGNIFICANT
from emotrace.evaluation.published import (
    PUBLISHED_BASELINE,
    WENINGER,
    Published,
    find_published,
    find_published_best,
    mark_published,
    name_kind,
)
from emotrace.evaluation.scores import HEARING
from emotrace.evaluation.table import (
    METRICS_SHOWN,
    Cell,
    Circumstances,
    Evaluation,
    Row,
    Score,
    Table,
    show_scores,
)
from emotrace.evaluation.validation import choose_best, has_validation_r2

BASELINES = {
    "Mean": "Mean label",
    "ArtistMean": "Artist mean",
    "Ramp": "Ramp in time",
    "Ridge": "Ridge",
    "SVR": "SVR",
    "OracleMean": "Clip mean (oracle)",
    "Annotators": "Annotators (ceiling)",
}
"""Names of the baselines in tables, in order."""


def build_selection_table(found: Evaluation, target: str, about: Circumstances) -> Table:
    """Compare all models on one feature set; the chosen one is highlighted."""
    rows = found.select(target, about.feature_set, "model")
    chosen = choose_best(rows)["model"]
    standing = _find_standing(found.compare("choice", target, about.feature_set))
    table = Table(
        label=f"model-selection-{target}",
        caption=f"Model selection, {target}: all models on {about.feature_set}. Bold: the chosen "
        f"one, with the {_name_choice(rows)}. Best: better than all "
        "others on the tested songs; tie: not told from the chosen one. One seed: R2, mean and "
        "standard deviation.",
        header=["Model", "R2", "tau", "MAE", "One seed", "Validation"],
    )
    for _, row in rows.iterrows():
        marks = ["baseline"] if row["model"] == about.baseline else []
        marks += [standing[row["model"]]] if standing.get(row["model"]) else []
        name = row["model"] + (f" ({', '.join(marks)})" if marks else "")
        one_seed = Score(row["r2_one_seed"], deviation=row["r2_seed_std"])
        after = [one_seed, Score(row["validation_r2"])]
        role = "chosen" if row["model"] == chosen else "ours"
        table.rows.append(Row([name, *show_scores(row), *after], role))
        published = find_published(target, about.feature_set, row["model"])
        table.rows.extend(_show_published(published, row, about, ["published"], ["", ""]))
    if (target, about.feature_set) in WENINGER:
        published, names = WENINGER[target, about.feature_set], ["Weninger et al."]
        table.rows.extend(_show_published(published, rows.iloc[0], about, names, ["", ""]))
    for name, row in _list_baselines(found, target, about.feature_set):
        mark = f" ({standing[row['model']]})" if standing.get(row["model"]) else ""
        table.rows.append(Row([name + mark, *show_scores(row), "", ""], "baseline"))
    return table


def build_best_table(found: Evaluation, about: Circumstances) -> Table:
    """Compare the chosen models of each kind, for both targets."""
    table = Table(
        label="best-results",
        caption=f"Best results across models on {about.feature_set}: of each kind the model "
        "chosen on the validation set"
        + (", and below it the best published one." if about.has_published else "."),
        header=["Target", "Kind", "Sizes", "R2", "tau", "MAE"],
    )
    for target in TARGETS:
        rows = found.select(target, about.feature_set, "model")
        kinds = rows["model"].map(name_kind)
        baseline = rows[rows["model"] == about.baseline].iloc[0]
        family = baseline["model"].partition("_")[0]
        published = find_published(target, about.feature_set, PUBLISHED_BASELINE)
        shown = [(f"baseline {family}", baseline, published)]
        for kind in dict.fromkeys(kinds):
            published = find_published_best(target, about.feature_set, kind)
            shown.append((kind, choose_best(rows[kinds == kind]), published))
        for number, (kind, row, published) in enumerate(shown):
            names = ["" if number else target, kind, _name_sizes(row["model"])]
            table.rows.append(Row([*names, *show_scores(row)]))
            if published is not None:
                names = ["", "published", _name_sizes(published.model)]
                table.rows.extend(_show_published(published, row, about, names))
        for name, row in _list_baselines(found, target, about.feature_set):
            table.rows.append(Row(["", name, "", *show_scores(row)], "baseline"))
    return table


def build_feature_table(found: Evaluation, target: str, about: Circumstances) -> Table:
    """Compare feature sets by the chosen one-layer AT model, or by the chosen model."""
    table = Table(
        label=f"feature-sets-{target}",
        caption=f"Feature sets, {target}: of each set the one-layer AT model (where there is "
        "none, the model) chosen on the validation set"
        + (", and below it the best published one-layer AT." if about.has_published else "."),
        header=["Features", "#", "Model", "R2", "tau", "MAE"],
    )
    deaf: dict[str, Row] = {}
    for feature_set in dict.fromkeys(found.metrics["feature_set"]):
        rows = found.select(target, feature_set, "model")
        attentive = rows[rows["model"].map(name_kind) == "AT, one layer"]
        best = choose_best(attentive if len(attentive) else rows)
        names = [feature_set, int(best["n_features"]), best["model"]]
        table.rows.append(Row([*names, *show_scores(best)]))
        published = find_published_best(target, feature_set, "AT, one layer")
        if published is not None:
            names = ["published", "", published.model]
            table.rows.extend(_show_published(published, best, about, names))
        for name, row in _list_baselines(found, target, feature_set):
            shown = Row(["", "", name, *show_scores(row)], "baseline")
            if row["model"] in HEARING:
                table.rows.append(shown)
            elif feature_set == about.feature_set:
                deaf[name] = shown
    table.rows.extend(deaf.values())
    return table


def _name_choice(rows: pd.DataFrame) -> str:
    is_paper = (rows["protocol"] == "paper").all()
    part = "the tested songs themselves, as published" if is_paper else "the validation set"
    if has_validation_r2(rows):
        return f"highest R2 on {part} (Validation)"
    return f"lowest error on {part}, whose labels never vary (no R2)"


def _find_standing(comparisons: pd.DataFrame) -> dict[str, str]:
    """Return for each model how it compares with the chosen one: best, tie, better, or nothing."""
    standing = {}
    for row in comparisons.dropna(subset="p_adjusted").itertuples():
        if row.p_adjusted >= SIGNIFICANT:
            standing[row.other] = "tie"
        else:
            standing[row.other] = "" if row.r2_difference > 0 else "better"
    if standing and not any(standing.values()):
        standing[comparisons["model"].iloc[0]] = "best"
    return standing


def _list_baselines(
    found: Evaluation, target: str, feature_set: str
) -> list[tuple[str, pd.Series]]:
    rows = found.select(target, feature_set, "baseline").set_index("model", drop=False)
    return [(name, rows.loc[key]) for key, name in BASELINES.items() if key in rows.index]


def _show_published(
    published: Published | None,
    ours: pd.Series,
    about: Circumstances,
    before: list[Cell],
    after: Sequence[Cell] = (),
) -> list[Row]:
    """Return the row of a published result; empty if no comparable result was published."""
    if published is None or not about.has_published:
        return []
    marks = mark_published(published, ours["protocol"], about.are_excerpts, ours["truth_variance"])
    place = next(number for number, cell in enumerate(before) if cell)
    names = [f"{cell} {marks}".strip() if n == place else cell for n, cell in enumerate(before)]
    scores = [Score(getattr(published, metric)) for metric in METRICS_SHOWN]
    return [Row([*names, *scores, *after], "published")]


def _name_sizes(model: str) -> str:
    return model.partition("_")[2]
