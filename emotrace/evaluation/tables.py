"""The paper's tables, made from the metrics; and their one note."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from emotrace import TARGETS
from emotrace.evaluation.choices import choose_best
from emotrace.evaluation.published import (
    CORPUS,
    Published,
    find_published,
    find_published_best,
    name_kind,
)

NOTHING = "–"
"""What a cell without a figure shows."""


@dataclass(frozen=True)
class Table:
    """A table before it is LaTeX or HTML.

    Parameters
    ----------
    label : str
        Short name, for references.
    caption : str
    groups : list of (str, int)
        Headings above the header and how many columns each spans.
    header : list of str
        ``R2`` and ``tau`` are typeset by the renderer.
    rows : list of list of str
    """

    label: str
    caption: str
    groups: list[tuple[str, int]]
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)


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
    """Compare all models on one feature set; the chosen one is marked."""
    rows = _select(metrics, target, about.feature_set)
    chosen = choose_best(rows)["model"]
    table = Table(
        label=f"model-selection-{target}",
        caption=f"Model selection, {target}: all models on {about.feature_set}. "
        "* marks the model chosen on the inner validation part.",
        groups=[("", 1), ("Ours", 4), *_head_published(about)],
        header=["Model", "R2", "tau", "MAE", "Validation R2", *_name_published(about)],
    )
    for _, row in rows.iterrows():
        name = f"{row['model']}{' *' if row['model'] == chosen else ''}"
        name += " (baseline)" if row["model"] == about.baseline else ""
        published = find_published(target, about.feature_set, row["model"])
        table.rows.append(
            [name, *_show_scores(row), f"{row['validation_r2']:.2f}", *_show(published, about)]
        )
    return table


def build_best_table(metrics: pd.DataFrame, about: Circumstances) -> Table:
    """Compare the chosen models of each kind, for both targets."""
    table = Table(
        label="best-results",
        caption=f"Best results across models on {about.feature_set}: of each kind the model "
        "chosen on the inner validation part"
        + (", beside the best published one." if about.has_published else "."),
        groups=[("", 3), ("Ours", 3), *_head_published(about, with_model=True)],
        header=["Target", "Kind", "Model", "R2", "tau", "MAE"]
        + _name_published(about, with_model=True),
    )
    for target in TARGETS:
        rows = _select(metrics, target, about.feature_set)
        kinds = rows["model"].map(name_kind)
        baseline = rows[rows["model"] == about.baseline].iloc[0]
        published = find_published(target, about.feature_set, "LSTM_400")
        table.rows.append(_row_of_kind(target, "baseline", baseline, published, about))
        for kind in dict.fromkeys(kinds):
            published = find_published_best(target, about.feature_set, kind)
            best = choose_best(rows[kinds == kind])
            table.rows.append(_row_of_kind(target, kind, best, published, about))
    return table


def build_feature_table(metrics: pd.DataFrame, target: str, about: Circumstances) -> Table:
    """Compare feature sets by the chosen one-layer AT model, or by the chosen model."""
    table = Table(
        label=f"feature-sets-{target}",
        caption=f"Feature sets, {target}: of each set the one-layer AT model (where there is "
        "none, the model) chosen on the inner validation part.",
        groups=[("", 3), ("Ours", 3), *_head_published(about, with_model=True)],
        header=["Features", "#", "Model", "R2", "tau", "MAE"]
        + _name_published(about, with_model=True),
    )
    for feature_set in dict.fromkeys(metrics["feature_set"]):
        rows = _select(metrics, target, feature_set)
        attentive = rows[rows["model"].map(name_kind) == "AT, one layer"]
        best = choose_best(attentive if len(attentive) else rows)
        published = find_published_best(target, feature_set, "AT, one layer")
        table.rows.append(
            [
                feature_set,
                str(best["n_features"]),
                best["model"],
                *_show_scores(best),
                *_show(published, about, with_model=True),
            ]
        )
    return table


def write_note(metrics: pd.DataFrame, about: Circumstances) -> str:
    """State corpus, protocol, clips, seeds and exclusions in a few sentences."""
    first = metrics.iloc[0]
    sentences = [
        f"Corpus {about.corpus}: {about.n_corpus_clips} clips, {about.n_excluded} left out as "
        f"broken{_describe_offset(about.offset_s)}.",
        f"Protocol {first['protocol']}: scored on {first['n_clips']} clips "
        f"({first['n_frames']} frames), {_describe_protocol(first['protocol'])}.",
        f"Scores are means over {first['n_seeds']} seeds; brackets hold 95 % song-level "
        f"bootstrap intervals ({about.n_samples} samples). R2, MAE pooled over frames; tau is "
        "Kendall's tau-b per clip, averaged over clips.",
    ]
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
    for metric in ("r2", "tau", "mae"):
        values = [None if result is None else getattr(result, metric) for result in found]
        tidy[f"published_{metric}"] = pd.array(values, dtype="Float64")
    return tidy


def _select(metrics: pd.DataFrame, target: str, feature_set: str) -> pd.DataFrame:
    return metrics[(metrics["target"] == target) & (metrics["feature_set"] == feature_set)]


def _row_of_kind(
    target: str, kind: str, row: pd.Series, published: Published | None, about: Circumstances
) -> list[str]:
    return [
        target,
        kind,
        row["model"],
        *_show_scores(row),
        *_show(published, about, with_model=True),
    ]


def _show_scores(row: pd.Series) -> list[str]:
    return [
        f"{row[metric]:.2f} [{row[f'{metric}_low']:.2f}, {row[f'{metric}_high']:.2f}]"
        for metric in ("r2", "tau", "mae")
    ]


def _show(
    published: Published | None, about: Circumstances, *, with_model: bool = False
) -> list[str]:
    if not about.has_published:
        return []
    if published is None:
        return [NOTHING] * (4 if with_model else 3)
    figures = [f"{value:.2f}" for value in (published.r2, published.tau, published.mae)]
    return [published.model, *figures] if with_model else figures


def _head_published(about: Circumstances, *, with_model: bool = False) -> list[tuple[str, int]]:
    return [("Published", 4 if with_model else 3)] if about.has_published else []


def _name_published(about: Circumstances, *, with_model: bool = False) -> list[str]:
    names = [*(["Model"] if with_model else []), "R2", "tau", "MAE"]
    return names if about.has_published else []


def _describe_offset(offset_s: float) -> str:
    return f", excerpts from second {offset_s:g} on" if offset_s > 0 else ""


def _describe_protocol(protocol: str) -> str:
    return {
        "official": "trained on the development clips, stopped and chosen on an artist-disjoint "
        "part of them",
        "artist": "in folds with no artist on both sides, stopped and chosen on an artist-disjoint "
        "part of the training clips",
        "paper": "in random folds whose tested part also stopped and chose the models, as "
        "published: optimistic",
    }[protocol]
