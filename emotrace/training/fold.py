"""Fit one model on one fold, for one target and with one seed, and predict the test set.

The digest of this module's code is part of the key under which fits are stored, so the module
imports only what determines their values.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from emotrace import TARGETS
from emotrace.training.fitting import (
    DivergedError,
    Fitted,
    Part,
    fit_model,
    predict,
    predict_shuffled,
)
from emotrace.training.normalisation import Normalisation, fit_normalisation
from emotrace.training.weights import pack_arrays

if TYPE_CHECKING:
    from emotrace.splits.folds import Fold
    from emotrace.training.checkpoint import Checkpoint
    from emotrace.training.sequences import Sequences
    from emotrace.training.settings import TrainingSettings

logger = logging.getLogger(__name__)

ATTENTION_SCHEMA = pa.schema(
    {"clip_id": pa.string(), "time_s": pa.float64(), "weights": pa.list_(pa.float32())}
)


@dataclass(frozen=True)
class FoldData:
    """Clips of a fold, normalised with the statistics of its training set.

    Parameters
    ----------
    normalisation : Normalisation
        Normalisation fitted on the frames of the training set.
    parts : dict
        For each target, the training, validation and test sets.
    tests : numpy.ndarray, shape (test clips,)
        Rows of the test clips in the sequences.
    """

    normalisation: Normalisation
    parts: dict[str, tuple[Part, Part, Part]]
    tests: np.ndarray


@dataclass(frozen=True)
class Fit:
    """Results of one fit.

    Parameters
    ----------
    predictions : pyarrow.Table
        ``clip_id``, ``time_s`` and ``prediction`` of the test clips, and ``shuffled``: the
        prediction with attention weights shuffled among the frames.
    attention : pyarrow.Table
        ``clip_id``, ``time_s``, ``weights``; empty for a model without attention.
    history : pyarrow.Table
        History of the training; see `emotrace.training.fitting.Fitted`.
    weights : bytes
        The weights and the normalisation as safetensors, with everything that
        `emotrace.training.loading.load_model` needs.
    """

    predictions: pa.Table
    attention: pa.Table
    history: pa.Table
    weights: bytes


def prepare_device(threads: int) -> torch.device:
    """Return the GPU if there is one, otherwise the CPU, and make both deterministic.

    Parameters
    ----------
    threads : int
        Number of CPU threads.
    """
    # cuDNN's recurrent layers are deterministic only if this is set before CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        device = torch.device("cuda")
        logger.info("training on the GPU %s", torch.cuda.get_device_name(device))
    else:
        device = torch.device("cpu")
        logger.info("no GPU: training on the CPU with %d threads", threads)
    return device


def prepare_fold(
    sequences: Sequences, fold: Fold, settings: TrainingSettings, device: torch.device
) -> FoldData:
    """Normalise a fold's clips and move them to the device.

    Parameters
    ----------
    sequences : Sequences
        Features and labels of all clips.
    fold : Fold
        Fold to prepare.
    settings : TrainingSettings
        Settings of the training, including the normalisation.
    device : torch.device
        Device of the returned tensors.
    """
    rows = [sequences.find_clips(clips) for clips in (fold.training, fold.validation, fold.test)]
    normalisation = _learn_normalisation(sequences, rows[0], settings)
    shared = [
        (
            torch.from_numpy(_normalise_clips(sequences, part, normalisation)).to(device),
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
    return FoldData(normalisation, parts, rows[2])


def _learn_normalisation(
    sequences: Sequences, clips: np.ndarray, settings: TrainingSettings
) -> Normalisation:
    n_features = sequences.features.shape[-1]
    numbers = np.arange(sequences.valid.size).reshape(sequences.valid.shape)  # (clips, frames)
    return fit_normalisation(
        sequences.features.reshape(-1, n_features),  # a view
        numbers[clips][sequences.valid[clips]],
        scaling=settings.scaling,
        limit=settings.feature_limit,
    )


def _normalise_clips(
    sequences: Sequences, clips: np.ndarray, normalisation: Normalisation
) -> np.ndarray:
    """Return ``(clips, frames, kept features)`` without copying the unnormalised features."""
    n_kept, n_frames = normalisation.kept.sum(), sequences.valid.shape[1]
    normalised = np.empty((len(clips), n_frames, n_kept), np.float32)
    for place, clip in enumerate(clips):
        normalised[place] = normalisation.apply(sequences.features[clip])
    return normalised


def run_fit(
    name: str,
    sequences: Sequences,
    data: FoldData,
    target: str,
    *,
    settings: TrainingSettings,
    seed: int,
    checkpoint: Checkpoint | None = None,
    n_pieces: int = 1,
) -> Fit:
    """Fit a model and predict the test clips.

    Parameters
    ----------
    name : str
        Name of the model, such as ``"AT_64"``.
    sequences : Sequences
        Sequences from which `data` was made.
    data : FoldData
        Clips of the fold.
    target : str
        One of `emotrace.TARGETS`.
    settings : TrainingSettings
        Settings of the training.
    seed : int
        Seed; see `emotrace.training.fitting.fit_model`.
    checkpoint : Checkpoint, optional
        Saved state; see `emotrace.training.fitting.fit_model`.
    n_pieces : int
        Number of pieces per batch; see `emotrace.training.fitting.fit_model`.

    Returns
    -------
    Fit
        Predictions, attention, history and weights.

    Raises
    ------
    DivergedError
        If a loss or a prediction is not finite.
    """
    fit, validation, test = data.parts[target]
    fitted = fit_model(name, fit, validation, settings, seed, checkpoint, n_pieces)
    predictions, weights = predict(fitted.model, test, n_pieces)
    shuffled = predict_shuffled(fitted.model, test, seed, n_pieces)
    _refuse_not_finite(fitted, predictions[test.valid], "prediction")
    if not shuffled.isnan().all():  # a model without attention has none
        _refuse_not_finite(fitted, shuffled[test.valid], "prediction with shuffled attention")
    about = {"model": name, "target": target, "seed": seed, "feedback": settings.feedback}
    return Fit(
        predictions=_tabulate_predictions(sequences, data.tests, predictions, shuffled),
        attention=_tabulate_attention(sequences, data.tests, weights),
        history=pa.Table.from_pandas(pd.DataFrame(fitted.history), preserve_index=False),
        weights=_pack_weights(fitted, data.normalisation, about),
    )


def _refuse_not_finite(fitted: Fitted, predictions: Tensor, name: str) -> None:
    wrong = predictions[~predictions.isfinite()]
    if len(wrong):
        found = f"a {name} of the tested clips is {wrong[0].item()}"
        raise DivergedError(int(fitted.best["epoch"]), found)


def _tabulate_predictions(
    sequences: Sequences, rows: np.ndarray, predictions: Tensor, shuffled: Tensor
) -> pa.Table:
    valid = sequences.valid[rows]
    clip_ids = np.repeat(np.array(sequences.clip_ids, dtype=object)[rows], valid.sum(axis=1))
    return pa.table(
        {
            "clip_id": pa.array(clip_ids, pa.string()),
            "time_s": sequences.times[rows][valid],
            "prediction": predictions.cpu().numpy()[valid],
            "shuffled": shuffled.cpu().numpy()[valid],
        }
    )


def _tabulate_attention(sequences: Sequences, rows: np.ndarray, weights: Tensor | None) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in ATTENTION_SCHEMA.names}
    matrices = [] if weights is None else weights.numpy()
    for row, matrix in zip(rows, matrices, strict=weights is not None):
        n_frames = int(sequences.valid[row].sum())
        columns["clip_id"] += [sequences.clip_ids[row]] * n_frames
        columns["time_s"] += sequences.times[row, :n_frames].tolist()
        columns["weights"] += list(matrix[:n_frames, :n_frames])
    return pa.table(columns, schema=ATTENTION_SCHEMA)


def _pack_weights(fitted: Fitted, normalisation: Normalisation, about: Mapping[str, Any]) -> bytes:
    arrays = {key: value.cpu().numpy() for key, value in fitted.model.state_dict().items()}
    arrays["normalisation.kept"] = normalisation.kept
    arrays["normalisation.centre"] = normalisation.centre
    arrays["normalisation.scale"] = normalisation.scale
    about = {**about, "feature_limit": normalisation.limit}
    return pack_arrays(arrays, {"emotrace": json.dumps(about)})
