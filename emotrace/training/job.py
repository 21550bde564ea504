"""All that one training job does: every seed, fold and target of a model on a feature set."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from torch import Tensor

from emotrace import TARGETS
from emotrace.training.fitting import Fitted, Part, fit_model, predict
from emotrace.training.normalisation import Normalisation, fit_normalisation
from emotrace.training.protocols import Fold, make_folds
from emotrace.training.sequences import Sequences

logger = logging.getLogger(__name__)

ATTENTION_SCHEMA = pa.schema(
    {
        "clip_id": pa.string(),
        "target": pa.string(),
        "fold": pa.int16(),
        "seed": pa.int32(),
        "time_s": pa.float64(),
        "weights": pa.list_(pa.float32()),
    }
)


def train_all(
    name: str,
    sequences: Sequences,
    clips: pd.DataFrame,
    *,
    protocol: Mapping[str, Any],
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    folder: Path,
) -> None:
    """Fit and test a model for every seed, fold and target, and write what it leaves.

    Parameters
    ----------
    name : str
        The model, such as ``"AT_64"``.
    sequences : Sequences
        Features and labels of all clips.
    clips : pandas.DataFrame
        The corpus's clips.
    protocol : mapping
        The fields of `emotrace.config.ProtocolSettings`.
    seeds : sequence of int
    settings : mapping
        The fields of `emotrace.config.TrainingSettings`.
    folder : Path
        Receives ``predictions.parquet``, ``attention.parquet``,
        ``history.parquet`` and ``weights/TARGET_foldN_seedN.safetensors``.
    """
    device = choose_device()
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    predictions, history = [], []
    plan = list(_plan(clips, protocol, seeds))
    with pq.ParquetWriter(folder / "attention.parquet", ATTENTION_SCHEMA) as attention:
        for number, (seed, fold) in enumerate(plan, start=1):
            tests = sequences.find_clips(fold.test)
            normalisation, parts = prepare_fold(sequences, fold, settings, device)
            for target, parts_of_target in parts.items():
                started = time.monotonic()
                fit, validation, test = parts_of_target
                fitted = fit_model(name, fit, validation, settings, seed)
                predicted, weights = predict(fitted.model, test)
                keys = {"target": target, "fold": fold.number, "seed": seed}
                predictions.append(_tabulate_predictions(sequences, tests, predicted, keys))
                history.append(pd.DataFrame(fitted.history).assign(**keys))
                if weights is not None:
                    attention.write_table(_tabulate_attention(sequences, tests, weights, keys))
                file = f"{target}_fold{fold.number}_seed{seed}.safetensors"
                _save_weights(folder / "weights" / file, fitted, normalisation, name)
                logger.info(
                    "fit %d of %d: seed %d, fold %d, %s: stopped after %d epochs, "
                    "best is %d with inner validation R2 %.3f, %.1f s",
                    (number - 1) * len(TARGETS) + TARGETS.index(target) + 1,
                    len(plan) * len(TARGETS),
                    seed,
                    fold.number,
                    target,
                    len(fitted.history),
                    fitted.best["epoch"],
                    fitted.best["validation_r2"],
                    time.monotonic() - started,
                )
    pd.concat(predictions).to_parquet(folder / "predictions.parquet", index=False)
    pd.concat(history).to_parquet(folder / "history.parquet", index=False)


def choose_device() -> torch.device:
    """Take the GPU where there is one, the CPU where not, and say so in the log."""
    torch.use_deterministic_algorithms(True)
    if torch.cuda.is_available():
        device = torch.device("cuda")
        logger.info("training on the GPU %s", torch.cuda.get_device_name(device))
    else:
        device = torch.device("cpu")
        logger.info("no GPU: training on the CPU with %d threads", torch.get_num_threads())
    return device


def prepare_fold(
    sequences: Sequences, fold: Fold, settings: Mapping[str, Any], device: torch.device
) -> tuple[Normalisation, dict[str, tuple[Part, Part, Part]]]:
    """Normalise a fold's clips by what its fit part looks like.

    Parameters
    ----------
    sequences : Sequences
    fold : Fold
    settings : mapping
        The fields of `emotrace.config.TrainingSettings`.
    device : torch.device
        Where the tensors go.

    Returns
    -------
    normalisation : Normalisation
        Fitted on the frames of the fold's fit clips.
    parts : dict
        For each target the fit, validation and test parts.
    """
    rows = [sequences.find_clips(clips) for clips in (fold.fit, fold.validation, fold.test)]
    fit_frames = sequences.features[rows[0]][sequences.valid[rows[0]]]
    normalisation = fit_normalisation(
        fit_frames, scaling=settings["scaling"], limit=settings["feature_limit"]
    )
    shared = [
        (
            torch.from_numpy(normalisation.apply(sequences.features[part])).to(device),
            torch.from_numpy(sequences.valid[part]).to(device),
        )
        for part in rows
    ]
    parts = {}
    for column, target in enumerate(TARGETS):
        labels = [torch.from_numpy(sequences.labels[part, :, column]).to(device) for part in rows]
        parts[target] = tuple(
            Part(features, valid, truth)
            for (features, valid), truth in zip(shared, labels, strict=True)
        )
    return normalisation, parts


def _plan(
    clips: pd.DataFrame, protocol: Mapping[str, Any], seeds: Sequence[int]
) -> Iterator[tuple[int, Fold]]:
    for seed in seeds:
        folds = make_folds(
            clips,
            protocol=protocol["name"],
            n_folds=protocol["folds"],
            validation_share=protocol["validation_share"],
            seed=seed,
        )
        for fold in folds:
            yield seed, fold


def _tabulate_predictions(
    sequences: Sequences, rows: np.ndarray, predictions: Tensor, keys: Mapping[str, Any]
) -> pd.DataFrame:
    valid = sequences.valid[rows]
    clip_ids = np.repeat(np.array(sequences.clip_ids, dtype=object)[rows], valid.sum(axis=1))
    return pd.DataFrame(
        {
            "clip_id": clip_ids,
            "time_s": sequences.times[rows][valid],
            **keys,
            "prediction": predictions.cpu().numpy()[valid],
        }
    )


def _tabulate_attention(
    sequences: Sequences, rows: np.ndarray, weights: Tensor, keys: Mapping[str, Any]
) -> pa.Table:
    columns: dict[str, list[Any]] = {"clip_id": [], "time_s": [], "weights": []}
    for row, matrix in zip(rows, weights.cpu().numpy(), strict=True):
        n_frames = int(sequences.valid[row].sum())
        columns["clip_id"] += [sequences.clip_ids[row]] * n_frames
        columns["time_s"] += sequences.times[row, :n_frames].tolist()
        columns["weights"] += list(matrix[:n_frames, :n_frames])
    n_rows = len(columns["clip_id"])
    table = {**columns, **{key: [value] * n_rows for key, value in keys.items()}}
    return pa.table(table, schema=ATTENTION_SCHEMA)


def _save_weights(path: Path, fitted: Fitted, normalisation: Normalisation, name: str) -> None:
    tensors = {key: value.cpu().contiguous() for key, value in fitted.model.state_dict().items()}
    tensors["normalisation.kept"] = torch.from_numpy(normalisation.kept)
    tensors["normalisation.centre"] = torch.from_numpy(normalisation.centre)
    tensors["normalisation.scale"] = torch.from_numpy(normalisation.scale)
    # One entry, because safetensors writes several in no fixed order.
    about = json.dumps({"model": name, "feature_limit": normalisation.limit})
    save_file(tensors, path, metadata={"emotrace": about})
