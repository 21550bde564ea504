"""What a table is before it is LaTeX or HTML, and the cells that tables share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from emotrace.evaluation.published import CORPUS

METRICS_SHOWN = ("r2", "tau", "mae")


@dataclass(frozen=True)
class Score:
    """A figure in a cell.

    Parameters
    ----------
    value : float
    interval : tuple of float, optional
        Its lower and upper end.
    deviation : float, optional
        Its standard deviation, shown in place of an interval.
    digits : int
        After the point.
    """

    value: float
    interval: tuple[float, float] | None = None
    deviation: float | None = None
    digits: int = 2


Cell = str | int | Score


@dataclass(frozen=True)
class Row:
    """One row.

    Parameters
    ----------
    cells : list of Cell
        As many as the table has columns; "" where there is nothing to say.
    role : {"ours", "chosen", "published", "baseline"}
        ``chosen`` is set off from the other models; ``published`` rows belong to
        the row above them; ``baseline`` rows are set apart from the models.
    """

    cells: list[Cell]
    role: str = "ours"


@dataclass(frozen=True)
class Table:
    """A table before it is LaTeX or HTML.

    Parameters
    ----------
    label : str
        Short name, for baselines.
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
    n_not_computed : mapping of str to int
        Clips of which a feature set could not be computed.
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
    remarks : sequence of str
        What `emotrace.splits.folds.describe_division` says.
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
        """Whether the published figures are about the same corpus."""
        return self.corpus == CORPUS

    @property
    def are_excerpts(self) -> bool:
        """Whether the clips begin later than they were annotated from."""
        return self.offset_s > 0


@dataclass(frozen=True)
class Evaluation:
    """What was measured; see `emotrace.evaluation.scores`.

    Parameters
    ----------
    metrics, comparisons, groups : pandas.DataFrame
        As `score_runs`, `compare_runs` and `score_groups` return them.
    """

    metrics: pd.DataFrame
    comparisons: pd.DataFrame
    groups: pd.DataFrame

    def select(self, target: str, feature_set: str, kind: str) -> pd.DataFrame:
        """Return the scores of the models or the baselines of a target and feature set."""
        rows = self.metrics
        wanted = (rows["target"] == target) & (rows["feature_set"] == feature_set)
        return rows[wanted & (rows["kind"] == kind)]

    def compare(self, question: str, target: str, feature_set: str) -> pd.DataFrame:
        """Return the comparisons that answer a question."""
        rows = self.comparisons
        wanted = (rows["target"] == target) & (rows["feature_set"] == feature_set)
        return rows[wanted & (rows["question"] == question)]


def show_score(row: pd.Series, metric: str) -> Score:
    """Return a metric with its interval, where it has one that is more than a point."""
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    return Score(row[metric], (low, high) if low < high else None)


def show_scores(row: pd.Series) -> list[Score]:
    """Return the metrics of the paper's tables."""
    return [show_score(row, metric) for metric in METRICS_SHOWN]
