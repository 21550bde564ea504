"""Build all tables of an evaluation, the note they share, and a tidy CSV version of them."""

from __future__ import annotations

import pandas as pd

from emotrace import TARGETS
from emotrace.evaluation.diagnosis import (
    build_attention_table,
    build_calibration_table,
    build_comparison_table,
    build_group_table,
)
from emotrace.evaluation.published import MARKS, find_published
from emotrace.evaluation.scores import ANNOTATORS
from emotrace.evaluation.selection import (
    build_best_table,
    build_feature_table,
    build_selection_table,
)
from emotrace.evaluation.table import METRICS_SHOWN, Circumstances, Evaluation, Table


def build_tables(found: Evaluation, about: Circumstances) -> list[Table]:
    """Build every table that has any content.

    Parameters
    ----------
    found : Evaluation
        Results of the evaluation.
    about : Circumstances
        Facts that a reader needs to judge the tables.

    Returns
    -------
    list of Table
        The paper's tables: model selection for arousal and for valence, best results across
        models, feature sets for arousal and for valence. Then tables that help to judge them:
        comparisons, attention, calibration, groups of songs.
    """
    tables = [
        *(build_selection_table(found, target, about) for target in TARGETS),
        build_best_table(found, about),
        *(build_feature_table(found, target, about) for target in TARGETS),
        *(build_comparison_table(found, target, about) for target in TARGETS),
        *(build_attention_table(found, target, about) for target in TARGETS),
        build_calibration_table(found, about),
        build_group_table(found, about),
    ]
    return [table for table in tables if table.rows]


def write_note(found: Evaluation, about: Circumstances) -> str:
    """Describe corpus, protocol, clips, seeds and exclusions in a few sentences."""
    metrics = found.metrics[found.metrics["kind"] == "model"]
    first = metrics.iloc[0]
    n_seeds, n_constant = first["n_seeds"], metrics["constant_clips"].sum()
    sentences = [
        f"Corpus {about.corpus}: {about.n_corpus_clips} clips, {about.n_excluded} left out as "
        f"broken{_describe_offset(about.offset_s)}; frames of {_describe_windows(about)} every "
        f"{about.hop_s:g} s.",
        f"Protocol {first['protocol']}: scored on {first['n_clips']} clips "
        f"({first['n_frames']} frames), {_describe_protocol(first['protocol'])}.",
        *about.remarks,
        f"{_describe_seeds(n_seeds)} Brackets hold 95 % song-level bootstrap intervals "
        f"({about.n_samples} samples). R2 and MAE are pooled over frames; tau is Kendall's tau-b "
        "per clip, averaged over clips.",
    ]
    sentences += [
        f"{feature_set} could not be computed of {number} of the clips used, which its models "
        "neither learn from nor are scored on."
        for feature_set, number in about.n_not_computed.items()
        if number
    ]
    if n_constant:
        sentences.append(
            f"Where truth or prediction never moves, tau counts as 0: {n_constant} of the "
            f"{metrics['n_clips'].sum()} predictions of a clip by a model."
        )
    ceiling = (found.metrics["model"] == ANNOTATORS).any()
    sentences.append(
        "Baselines: without audio, the mean label of the training clips, the artist's mean drawn "
        "to the genre's, a ramp in time; ridge and support-vector regression of clip means; each "
        "clip's true mean"
        + ("; what the annotators' disagreement leaves to predict." if ceiling else ".")
    )
    if about.has_published:
        sentences.append(
            "Published: Chaki et al., ISMIR 2020; ten random folds of the full 45 s clips, where "
            "the reported fold also stopped the training and chose the sizes. Weninger et al., "
            "ICASSP 2014; official split. Not to be compared directly: "
            f"{MARKS['protocol']} another protocol, {MARKS['excerpts']} full clips where these are "
            f"excerpts, {MARKS['impossible']} MAE and R2 that cannot both be true for these "
            "labels."
        )
    return " ".join(sentences)


def tabulate_scores(metrics: pd.DataFrame, about: Circumstances) -> pd.DataFrame:
    """Return the tables in tidy form: the metrics, with the published results beside them."""
    tidy = metrics.copy()
    found = [
        find_published(row.target, row.feature_set, row.model) if about.has_published else None
        for row in metrics.itertuples()
    ]
    for metric in METRICS_SHOWN:
        values = [None if result is None else getattr(result, metric) for result in found]
        tidy[f"published_{metric}"] = pd.array(values, dtype="Float64")
    return tidy


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
