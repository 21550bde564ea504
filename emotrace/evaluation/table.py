"""Tables before they are rendered as LaTeX or HTML, and cells that several tables share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from emotrace.evaluation.published import CORPUS

METRICS_SHOWN = ("r2", "tau", "mae")


@dataclass(frozen=True)
class Score:
    """A number in a cell.

    Parameters
    ----------
    value : float
        The number.
    interval : tuple of float, optional
        Lower and upper end of its interval.
    deviation : float, optional
        Its standard deviation, shown instead of an interval.
    digits : int
        Number of digits after the point.
    """

    value: float
    interval: tuple[float, float] | None = None
    deviation: float | None = None
    digits: int = 2


Cell = str | int | Score


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Parameters
    ----------
    cells : list of Cell
        One cell per column; "" for an empty cell.
    role : {"ours", "chosen", "published", "baseline"}
        ``chosen`` rows are highlighted among the models; ``published`` rows belong to the row
        above them; ``baseline`` rows are separated from the models.
    """

    cells: list[Cell]
    role: str = "ours"


@dataclass(frozen=True)
class Table:
    """A table before it is rendered as LaTeX or HTML.

    Parameters
    ----------
    label : str
        Short name, for cross-references.
    caption : str
        Caption of the table.
    header : list of str
        Names of the columns; the renderer typesets ``R2`` and ``tau``.
    rows : list of Row
        Rows of the table.
    """

    label: str
    caption: str
    header: list[str]
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Circumstances:
    """Facts that a reader needs to judge a table.

    Parameters
    ----------
    corpus : str
        Name of the corpus.
    n_corpus_clips, n_excluded : int
        Number of clips used, and number left out as broken.
    n_not_computed : mapping of str to int
        For each feature set, the number of clips for which it could not be computed.
    offset_s : float
        Second of the annotations' time line at which the audio begins; more than 0 for excerpts.
    windows_s : mapping of str to float
        For each feature set, the seconds that a frame describes.
    hop_s : float
        Seconds between the beginnings of two frames.
    feature_set : str
        Feature set of the model-selection tables.
    baseline : str
        Model with which the others are compared.
    n_samples : int
        Number of bootstrap samples.
    remarks : sequence of str
        Sentences from `emotrace.splits.folds.describe_division`.
    """

    corpus: str
    n_corpus_clips: int
    n_excluded: int
    n_not_computed: Mapping[str, int]
    offset_s: float
    windows_s: Mapping[str, float]
    hop_s: float
    feature_set: str
    baseline: str
    n_samples: int
    remarks: Sequence[str]

    @property
    def has_published(self) -> bool:
        """Whether the published results are about the same corpus."""
        return self.corpus == CORPUS

    @property
    def are_excerpts(self) -> bool:
        """Whether the audio begins later than the songs that were annotated."""
        return self.offset_s > 0


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation; see `emotrace.evaluation.scores`.

    Parameters
    ----------
    metrics, comparisons, groups : pandas.DataFrame
        Results of `score_runs`, `compare_runs` and `score_groups`.
    """

    metrics: pd.DataFrame
    comparisons: pd.DataFrame
    groups: pd.DataFrame

    def select(self, target: str, feature_set: str, kind: str) -> pd.DataFrame:
        """Return the scores of the models or the baselines for a target and a feature set."""
        rows = self.metrics
        wanted = (rows["target"] == target) & (rows["feature_set"] == feature_set)
        return rows[wanted & (rows["kind"] == kind)]

    def compare(self, question: str, target: str, feature_set: str) -> pd.DataFrame:
        """Return the comparisons that answer a question."""
        rows = self.comparisons
        wanted = (rows["target"] == target) & (rows["feature_set"] == feature_set)
        return rows[wanted & (rows["question"] == question)]


def show_score(row: pd.Series, metric: str) -> Score:
    """Return a metric, with its interval if that is wider than a point."""
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    return Score(row[metric], (low, high) if low < high else None)


def show_scores(row: pd.Series) -> list[Score]:
    """Return the metrics of the paper's tables."""
    return [show_score(row, metric) for metric in METRICS_SHOWN]
