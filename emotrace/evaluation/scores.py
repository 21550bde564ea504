"""Score models and baselines, compare pairs of models, and score groups of songs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from emotrace import TARGETS
from emotrace.evaluation.ceiling import summarise_disagreement
from emotrace.evaluation.comparisons import (
    adjust_for_comparisons,
    compare_clips,
    name_controls,
)
from emotrace.evaluation.metrics import score_seeds, score_with_intervals, summarise_clips
from emotrace.evaluation.validation import choose_best, read_validation
from emotrace.reruns.checksums import read_table
from emotrace.splits.folds import find_known, make_folds
from emotrace.splits.groups import find_unknown_artists
from emotrace.splits.protocol import Protocol
from emotrace.splits.spelling import unify_spellings

ANNOTATORS = "Annotators"
"""Name of the baseline that knows the mean perception of all listeners."""

HEARING = ("Ridge", "SVR")
"""Baselines that models are compared with, because they also use the audio."""

SHUFFLED = "shuffled"


class Key(NamedTuple):
    """Identifies what a score belongs to."""

    target: str
    feature_set: str
    model: str


@dataclass(frozen=True)
class Summary:
    """Predictions of a model for one target, summarised by clip.

    Parameters
    ----------
    kind : {"model", "baseline"}
        Whether a model or a baseline made the predictions.
    clips : pandas.DataFrame
        Summary of the predictions averaged over seeds; see
        `emotrace.evaluation.metrics.summarise_clips`.
    seeds : list of pandas.DataFrame
        Summary of each seed; empty for a baseline, which has no seed.
    shuffled : pandas.DataFrame, optional
        Summary of the predictions with shuffled attention, averaged over seeds.
    validation : mapping of str to float
        Scores on the validation set; see `emotrace.evaluation.validation.read_validation`.
        Empty for a baseline.
    """

    kind: str
    clips: pd.DataFrame
    seeds: list[pd.DataFrame] = field(default_factory=list)
    shuffled: pd.DataFrame | None = None
    validation: Mapping[str, float] = field(default_factory=dict)


def summarise_runs(
    folders: Mapping[tuple[str, str], Path], annotations: pd.DataFrame
) -> dict[Key, Summary]:
    """Summarise the predictions of every training run.

    Parameters
    ----------
    folders : mapping of (feature set, model) to Path
        Output folder of each training job.
    annotations : pandas.DataFrame
        Annotations of the corpus.
    """
    summaries = {}
    for (feature_set, model), folder in folders.items():
        frames = _add_truth(read_table(folder / "predictions.parquet"), annotations)
        validation = read_validation(folder / "history.parquet")
        for target, part in frames.groupby("target"):
            shuffled = part[SHUFFLED].notna().all()
            summaries[Key(target, feature_set, model)] = Summary(
                kind="model",
                clips=summarise_clips(_average(part, "prediction")),
                seeds=[summarise_clips(seed) for _, seed in part.groupby("seed")],
                shuffled=summarise_clips(_average(part, SHUFFLED)) if shuffled else None,
                validation=validation[target],
            )
    return summaries


def summarise_baselines(
    tables: Mapping[str, Path], annotations: pd.DataFrame, n_annotators: int | None
) -> dict[Key, Summary]:
    """Summarise the predictions of every baseline.

    Parameters
    ----------
    tables : mapping of str to Path
        For each feature set, the path of the table that
        `emotrace.evaluation.baselines.predict_baselines` returned.
    annotations : pandas.DataFrame
        Annotations of the corpus.
    n_annotators : int, optional
        Number of annotators per clip. If it is known, the annotators' disagreement is added as
        a baseline.
    """
    summaries = {}
    for feature_set, table in tables.items():
        frames = _add_truth(read_table(table), annotations)
        for (target, name), part in frames.groupby(["target", "baseline"], sort=False):
            clips = summarise_clips(part)
            summaries[Key(target, feature_set, name)] = Summary("baseline", clips)
            if name == "Mean" and n_annotators and part["std"].notna().all():
                clips = summarise_disagreement(part, n_annotators)
                summaries[Key(target, feature_set, ANNOTATORS)] = Summary("baseline", clips)
    return summaries


def score_runs(
    summaries: Mapping[Key, Summary],
    n_features: Mapping[str, int],
    *,
    experiment: str,
    protocol: str,
    n_samples: int,
) -> pd.DataFrame:
    """Score every model and baseline.

    Parameters
    ----------
    summaries : mapping of Key to Summary
        Summarised predictions of all models and baselines.
    n_features : mapping of str to int
        Number of features of each feature set.
    experiment, protocol : str
        Names that are repeated in every row.
    n_samples : int
        Number of bootstrap samples for each interval.

    Returns
    -------
    pandas.DataFrame
        Scores; see ``docs/tables.md``.
    """
    rows = []
    for key, summary in summaries.items():
        rows.append(
            {
                "experiment": experiment,
                "protocol": protocol,
                **key._asdict(),
                "kind": summary.kind,
                "n_features": n_features[key.feature_set],
                "n_clips": len(summary.clips),
                "n_frames": int(summary.clips["frames"].sum()),
                "n_seeds": len(summary.seeds),
                "truth_variance": _measure_variance(summary.clips),
                **score_with_intervals(summary.clips, n_samples),
                **score_seeds(summary.seeds),
                "constant_clips": int(summary.clips["constant"].sum()),
                "validation_r2": summary.validation.get("validation_r2", float("nan")),
                "validation_loss": summary.validation.get("validation_loss", float("nan")),
            }
        )
    return pd.DataFrame(rows)


def compare_runs(
    summaries: Mapping[Key, Summary], metrics: pd.DataFrame, n_samples: int
) -> pd.DataFrame:
    """Compare the chosen models with the others, and attentive models with their controls.

    Parameters
    ----------
    summaries : mapping of Key to Summary
        Summarised predictions of all models and baselines.
    metrics : pandas.DataFrame
        Scores, as returned by `score_runs`.
    n_samples : int
        Number of bootstrap samples.

    Returns
    -------
    pandas.DataFrame
        ``question`` ("choice" or "attention"), ``target``, ``feature_set``, ``model``,
        ``other``, the columns of `emotrace.evaluation.comparisons.compare_clips`, and
        ``p_adjusted`` for the number of comparisons with the same question, target and
        feature set.
    """
    rows = []
    for (target, feature_set), group in metrics.groupby(["target", "feature_set"], sort=False):
        found = {
            key.model: summary
            for key, summary in summaries.items()
            if (key.target, key.feature_set) == (target, feature_set)
        }
        for question, pairs in (
            ("choice", _pair_with_chosen(group)),
            ("attention", _pair_with_controls(found)),
        ):
            compared = [
                {
                    "question": question,
                    "target": target,
                    "feature_set": feature_set,
                    "model": model,
                    "other": other,
                    **compare_clips(found[model].clips, _find_other(found, other), n_samples),
                }
                for model, other in pairs
            ]
            if question == "choice" and (group["protocol"] == "paper").all():
                # The model was chosen on the songs that are compared, so no p would be valid.
                compared = [row | {"p": float("nan")} for row in compared]
            adjusted = adjust_for_comparisons([row["p"] for row in compared])
            rows += [row | {"p_adjusted": p} for row, p in zip(compared, adjusted, strict=True)]
    return pd.DataFrame(rows)


def score_groups(
    summaries: Mapping[Key, Summary],
    metrics: pd.DataFrame,
    songs: Mapping[str, pd.DataFrame],
    n_samples: int,
) -> pd.DataFrame:
    """Score the chosen models on the songs of each genre, and of heard and unheard artists.

    Parameters
    ----------
    summaries : mapping of Key to Summary
        Summarised predictions of all models and baselines.
    metrics : pandas.DataFrame
        Scores, as returned by `score_runs`.
    songs : mapping of str to pandas.DataFrame
        For each feature set, the result of `divide_songs`.
    n_samples : int
        Number of bootstrap samples.

    Returns
    -------
    pandas.DataFrame
        ``target``, ``feature_set``, ``model``, ``division`` (a column of `songs`), ``group``,
        ``n_clips``, and all metrics with their intervals.
    """
    rows = []
    for _, group in metrics.groupby(["target", "feature_set"], sort=False):
        chosen = choose_best(group[group["kind"] == "model"])
        key = Key(chosen["target"], chosen["feature_set"], chosen["model"])
        clips = summaries[key].clips
        divisions = songs[key.feature_set].reindex(clips.index)
        for division, names in divisions.items():
            for name, part in clips.groupby(names.to_numpy()):
                scores = score_with_intervals(part, n_samples)
                about = {"division": division, "group": name, "n_clips": len(part)}
                rows.append({**key._asdict(), **about, **scores})
    return pd.DataFrame(rows)


def divide_songs(clips: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """Group the test songs by genre, and by whether their artist is heard in training.

    Parameters
    ----------
    clips : pandas.DataFrame
        Clips that the models of a feature set use for training and testing.
    protocol : Protocol
        Protocol that divides the clips.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``clip_id``, with ``genre`` and ``artist`` ("heard", "unheard" or
        "unknown").
    """
    # The test set of a fold is the same for every seed.
    folds = make_folds(clips, protocol, seed=0)
    heard = find_known(clips, folds).map({True: "heard", False: "unheard"})
    unknown = clips.loc[find_unknown_artists(clips), "clip_id"]
    genres = pd.Series(unify_spellings(clips["genre"].fillna("")), index=clips["clip_id"])
    return pd.DataFrame(
        {
            "genre": genres.reindex(heard.index).replace("", None),
            "artist": heard.mask(heard.index.isin(unknown), "unknown"),
        }
    )


def _measure_variance(clips: pd.DataFrame) -> float:
    """Return the variance of the truth over all frames."""
    n_frames = clips["frames"].sum()
    return clips["truth_squared"].sum() / n_frames - (clips["truth"].sum() / n_frames) ** 2


def _add_truth(predictions: pd.DataFrame, annotations: pd.DataFrame) -> pd.DataFrame:
    """Add truth and the annotators' deviation to each prediction, in order of time."""
    truth = pd.concat(
        annotations[["clip_id", "time_s"]].assign(
            target=target, truth=annotations[target], std=annotations[f"{target}_std"]
        )
        for target in TARGETS
    )
    frames = predictions.merge(truth, on=["clip_id", "time_s", "target"], validate="m:1")
    return frames.sort_values(["clip_id", "time_s"])


def _average(frames: pd.DataFrame, column: str) -> pd.DataFrame:
    """Average the predictions of the seeds for each frame."""
    frames = frames.assign(prediction=frames[column])
    return frames.groupby(["clip_id", "time_s"], as_index=False)[["truth", "prediction"]].mean()


def _pair_with_chosen(group: pd.DataFrame) -> list[tuple[str, str]]:
    models = group[group["kind"] == "model"]
    chosen = choose_best(models)["model"]
    others = [*models["model"], *(name for name in HEARING if name in set(group["model"]))]
    return [(chosen, other) for other in others if other != chosen]


def _pair_with_controls(found: Mapping[str, Summary]) -> Iterator[tuple[str, str]]:
    for model, summary in found.items():
        if summary.kind == "model":
            yield from ((model, name) for name in name_controls(model) if name in found)
            if summary.shuffled is not None:
                yield model, f"{model}, {SHUFFLED}"


def _find_other(found: Mapping[str, Summary], other: str) -> pd.DataFrame:
    model, _, is_shuffled = other.partition(", ")
    return found[model].shuffled if is_shuffled else found[model].clips
