"""The paper's tables, made from the metrics; and their one note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from emotrace import TARGETS
from emotrace.evaluation.published import (
    CORPUS,
    PUBLISHED_BASELINE,
    Published,
    find_published,
    find_published_best,
    name_kind,
)
from emotrace.evaluation.validation import choose_best

METRICS_SHOWN = ("r2", "tau", "mae")


@dataclass(frozen=True)
class Score:
    """A figure in a cell.

    Parameters
    ----------
    value : float
    interval : tuple of float, optional
        Its lower and upper end.
    """

    value: float
    interval: tuple[float, float] | None = None


Cell = str | int | Score


@dataclass(frozen=True)
class Row:
    """One row.

    Parameters
    ----------
    cells : list of Cell
        As many as the table has columns; "" where there is nothing to say.
    role : {"ours", "chosen", "published"}
        ``chosen`` is set off from the other models; ``published`` rows belong to
        the row above them.
    """

    cells: list[Cell]
    role: str = "ours"


@dataclass(frozen=True)
class Table:
    """A table before it is LaTeX or HTML.

    Parameters
    ----------
    label : str
        Short name, for references.
    caption : str
    header : list of str
        ``R2`` and ``tau`` are typeset by the renderer.
    rows : list of Row
    """

    label: str
    caption: str
    header: list[str]
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Circumstances:
    """What a reader must know to trust a table.

    Parameters
    ----------
    corpus : str
        Name of the corpus.
    n_corpus_clips, n_excluded : int
        Clips used, and clips left out as broken.
    offset_s : float
        Second of the annotations' time line at which the audio begins; more than
        0 for excerpts.
    windows_s : mapping of str to float
        Seconds that a frame of each feature set describes.
    hop_s : float
        Seconds between two frames.
    feature_set : str
        The set of the model-selection tables.
    baseline : str
        The model that others are compared with.
    n_samples : int
        Bootstrap samples.
    """

    corpus: str
    n_corpus_clips: int
    n_excluded: int
    offset_s: float
    windows_s: Mapping[str, float]
    hop_s: float
    feature_set: str
    baseline: str
    n_samples: int

    @property
    def has_published(self) -> bool:
        """Whether the published figures are about the same corpus."""
        return self.corpus == CORPUS


def build_tables(metrics: pd.DataFrame, about: Circumstances) -> list[Table]:
    """Build every table of the paper.

    Parameters
    ----------
    metrics : pandas.DataFrame
        As `emotrace.evaluation.scores.score_runs` returns it.
    about : Circumstances

    Returns
    -------
    list of Table
        Model selection for arousal and for valence, best results across models,
        feature sets for arousal and for valence.
    """
    return [
        *(build_selection_table(metrics, target, about) for target in TARGETS),
        build_best_table(metrics, about),
        *(build_feature_table(metrics, target, about) for target in TARGETS),
    ]


def build_selection_table(metrics: pd.DataFrame, target: str, about: Circumstances) -> Table:
    """Compare all models on one feature set; the chosen one is set off."""
    rows = _select(metrics, target, about.feature_set)
    chosen = choose_best(rows)["model"]
    table = Table(
        label=f"model-selection-{target}",
        caption=f"Model selection, {target}: all models on {about.feature_set}. Bold: the model "
        "with the highest R2 on the inner validation part (Validation), which is the one chosen. "
        "One seed: R2 of a single seed.",
        header=["Model", "R2", "tau", "MAE", "One seed", "Validation"],
    )
    for _, row in rows.iterrows():
        name = row["model"] + (" (baseline)" if row["model"] == about.baseline else "")
        role = "chosen" if row["model"] == chosen else "ours"
        scores = [*_show_scores(row), Score(row["r2_one_seed"]), Score(row["validation_r2"])]
        table.rows.append(Row([name, *scores], role))
        published = find_published(target, about.feature_set, row["model"])
        table.rows.extend(_show_published(published, about, ["published"], ["", ""]))
    return table


def build_best_table(metrics: pd.DataFrame, about: Circumstances) -> Table:
    """Compare the chosen models of each kind, for both targets."""
    table = Table(
        label="best-results",
        caption=f"Best results across models on {about.feature_set}: of each kind the model "
        "chosen on the inner validation part"
        + (", and below it the best published one." if about.has_published else "."),
        header=["Target", "Kind", "Sizes", "R2", "tau", "MAE"],
    )
    for target in TARGETS:
        rows = _select(metrics, target, about.feature_set)
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
            table.rows.append(Row([*names, *_show_scores(row)]))
            if published is not None:
                names = ["", "published", _name_sizes(published.model)]
                table.rows.extend(_show_published(published, about, names))
    return table


def build_feature_table(metrics: pd.DataFrame, target: str, about: Circumstances) -> Table:
    """Compare feature sets by the chosen one-layer AT model, or by the chosen model."""
    table = Table(
        label=f"feature-sets-{target}",
        caption=f"Feature sets, {target}: of each set the one-layer AT model (where there is "
        "none, the model) chosen on the inner validation part"
        + (", and below it the best published one-layer AT." if about.has_published else "."),
        header=["Features", "#", "Model", "R2", "tau", "MAE"],
    )
    for feature_set in dict.fromkeys(metrics["feature_set"]):
        rows = _select(metrics, target, feature_set)
        attentive = rows[rows["model"].map(name_kind) == "AT, one layer"]
        best = choose_best(attentive if len(attentive) else rows)
        names = [feature_set, int(best["n_features"]), best["model"]]
        table.rows.append(Row([*names, *_show_scores(best)]))
        published = find_published_best(target, feature_set, "AT, one layer")
        if published is not None:
            table.rows.extend(_show_published(published, about, ["published", "", published.model]))
    return table


def write_note(metrics: pd.DataFrame, about: Circumstances) -> str:
    """State corpus, protocol, clips, seeds and exclusions in a few sentences."""
    first = metrics.iloc[0]
    n_seeds, n_constant = first["n_seeds"], metrics["constant_clips"].sum()
    sentences = [
        f"Corpus {about.corpus}: {about.n_corpus_clips} clips, {about.n_excluded} left out as "
        f"broken{_describe_offset(about.offset_s)}; frames of {_describe_windows(about)} every "
        f"{about.hop_s:g} s.",
        f"Protocol {first['protocol']}: scored on {first['n_clips']} clips "
        f"({first['n_frames']} frames), {_describe_protocol(first['protocol'])}.",
        f"{_describe_seeds(n_seeds)} Brackets hold 95 % song-level bootstrap intervals "
        f"({about.n_samples} samples). R2 and MAE are pooled over frames; tau is Kendall's tau-b "
        "per clip, averaged over clips.",
    ]
    if n_constant:
        sentences.append(
            f"Where truth or prediction never moves, tau counts as 0: {n_constant} of the "
            f"{metrics['n_clips'].sum()} predictions of a clip behind all tables."
        )
    if about.has_published:
        sentences.append(
            "Published: Chaki et al., ISMIR 2020; ten random folds of the full 45 s clips, where "
            "the reported fold also stopped the training and chose the sizes."
        )
    return " ".join(sentences)


def tabulate_scores(metrics: pd.DataFrame, about: Circumstances) -> pd.DataFrame:
    """Return the tidy twin of the tables: the metrics with the published figures beside them."""
    tidy = metrics.copy()
    found = [
        find_published(row.target, row.feature_set, row.model) if about.has_published else None
        for row in metrics.itertuples()
    ]
    for metric in METRICS_SHOWN:
        values = [None if result is None else getattr(result, metric) for result in found]
        tidy[f"published_{metric}"] = pd.array(values, dtype="Float64")
    return tidy


def _select(metrics: pd.DataFrame, target: str, feature_set: str) -> pd.DataFrame:
    return metrics[(metrics["target"] == target) & (metrics["feature_set"] == feature_set)]


def _show_scores(row: pd.Series) -> list[Score]:
    return [
        Score(row[metric], (row[f"{metric}_low"], row[f"{metric}_high"]))
        for metric in METRICS_SHOWN
    ]


def _show_published(
    published: Published | None,
    about: Circumstances,
    before: list[Cell],
    after: Sequence[Cell] = (),
) -> list[Row]:
    """Return the row of a published result, or none where nothing comparable was published."""
    if published is None or not about.has_published:
        return []
    scores = [Score(getattr(published, metric)) for metric in METRICS_SHOWN]
    return [Row([*before, *scores, *after], "published")]


def _name_sizes(model: str) -> str:
    return model.partition("_")[2]


def _describe_offset(offset_s: float) -> str:
    return f", excerpts from second {offset_s:g} on" if offset_s > 0 else ""


def _describe_windows(about: Circumstances) -> str:
    usual = about.windows_s[about.feature_set]
    others = [
        f"{feature_set}: {window_s:g} s"
        for feature_set, window_s in about.windows_s.items()
        if window_s != usual
    ]
    return f"{usual:g} s" + (f" ({', '.join(others)})" if others else "")


def _describe_seeds(n_seeds: int) -> str:
    if n_seeds == 1:
        return "Every model was trained with one seed."
    return (
        f"Every model was trained with {n_seeds} seeds, and the average of their predictions is "
        "scored; R2 of a single seed (mean over seeds) stands apart."
    )


def _describe_protocol(protocol: str) -> str:
    return {
        "official": "trained on the development clips, stopped and chosen on an artist-disjoint "
        "part of them",
        "artist": "in folds with no artist on both sides, stopped and chosen on an artist-disjoint "
        "part of the training clips",
        "paper": "in random folds whose tested part also stopped and chose the models, as "
        "published: optimistic",
    }[protocol]
