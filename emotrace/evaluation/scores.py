"""The table of metrics: one row per target, feature set and model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from emotrace import TARGETS
from emotrace.evaluation.metrics import score_seeds, score_with_intervals, summarise_clips
from emotrace.evaluation.validation import read_validation


def score_runs(
    folders: Mapping[tuple[str, str], Path],
    annotations: pd.DataFrame,
    feature_tables: Mapping[str, Path],
    *,
    experiment: str,
    protocol: str,
    n_samples: int,
) -> pd.DataFrame:
    """Score every training run.

    Parameters
    ----------
    folders : mapping of (feature set, model) to Path
        What the training jobs left.
    annotations : pandas.DataFrame
        The corpus's annotations.
    feature_tables : mapping of str to Path
        Feature set to its table, for the number of features.
    experiment, protocol : str
        Repeated in every row.
    n_samples : int
        Bootstrap samples behind each interval.

    Returns
    -------
    pandas.DataFrame
        See ``docs/tables.md``; ``validation_r2`` is the mean over folds and seeds of
        the best epoch's R2 on the inner validation part, by which models are chosen.
    """
    truth = annotations.melt(
        id_vars=["clip_id", "time_s"],
        value_vars=list(TARGETS),
        var_name="target",
        value_name="truth",
    )
    rows = []
    for (feature_set, model), folder in folders.items():
        n_features = len(pq.read_schema(feature_tables[feature_set])) - 2
        predictions = pd.read_parquet(folder / "predictions.parquet")
        frames = predictions.merge(truth, on=["clip_id", "time_s", "target"], validate="m:1")
        validation = read_validation(folder / "history.parquet")
        for target in TARGETS:
            rows.append(
                {
                    "experiment": experiment,
                    "target": target,
                    "feature_set": feature_set,
                    "n_features": n_features,
                    "model": model,
                    "protocol": protocol,
                    **_score_target(frames[frames["target"] == target], n_samples),
                    "validation_r2": validation[target],
                }
            )
    return pd.DataFrame(rows)


def _score_target(frames: pd.DataFrame, n_samples: int) -> dict[str, float]:
    """Score the average of the seeds' predictions, and then every seed alone."""
    frames = frames.sort_values(["clip_id", "time_s"])
    averaged = frames.groupby(["clip_id", "time_s"], as_index=False)[["truth", "prediction"]].mean()
    sums = summarise_clips(averaged)
    sums_by_seed = [summarise_clips(seed) for _, seed in frames.groupby("seed")]
    return {
        "n_clips": len(sums),
        "n_frames": int(sums["frames"].sum()),
        "n_seeds": len(sums_by_seed),
        **score_with_intervals(sums, n_samples),
        **score_seeds(sums_by_seed),
        "constant_clips": int(sums["constant"].sum()),
    }
