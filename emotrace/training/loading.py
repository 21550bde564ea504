"""Load trained models from the weights of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from emotrace.models import build_model
from emotrace.runtime.errors import EmotraceError
from emotrace.training.normalisation import Normalisation
from emotrace.training.weights import TYPES


@dataclass(frozen=True)
class TrainedModel:
    """A trained model that predicts one target.

    Parameters
    ----------
    name : str
        Name of the model, such as ``"AT_64"``.
    target : str
        One of `emotrace.TARGETS`.
    seed : int
        Seed of the training.
    normalisation : Normalisation
        Normalisation of the features.
    module : torch.nn.Module
        Module in evaluation mode, on the CPU. Its input is normalised features; see
        `emotrace.models`.
    """

    name: str
    target: str
    seed: int
    normalisation: Normalisation
    module: nn.Module

    @torch.no_grad()
    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict every frame of a clip.

        Parameters
        ----------
        features : numpy.ndarray, shape (frames, features)
            Features as in the feature table that the model was trained on, not normalised.

        Returns
        -------
        predictions : numpy.ndarray, shape (frames,)
            Predicted values, in about [-1, 1].
        weights : numpy.ndarray, shape (frames, frames), or None
            Attention weights; rows are predicted frames, columns are attended frames.

        Raises
        ------
        ValueError
            If the number of features is not the one that the model was trained on.
        """
        n_features = len(self.normalisation.kept)
        if features.ndim != 2 or features.shape[1] != n_features:
            raise ValueError(
                f"features have the shape {features.shape}, and {self.name} was trained on "
                f"{n_features}: expected (frames, {n_features})"
            )
        normalised = self.normalisation.apply(features.astype(np.float32))
        clip = torch.from_numpy(normalised)[None]
        predictions, weights = self.module(clip, torch.ones(clip.shape[:2], dtype=torch.bool))
        return predictions[0].numpy(), None if weights is None else weights[0].numpy()


def load_model(path: str | Path) -> TrainedModel:
    """Load a trained model, ready to predict.

    Parameters
    ----------
    path : str or Path
        Path of a file in the folder ``weights`` of a run.

    Returns
    -------
    TrainedModel
        Model that is ready to predict.

    Raises
    ------
    EmotraceError
        If the file cannot be read, is damaged, or is not a trained model.
    """
    try:
        arrays, about = _unpack_arrays(Path(path).read_bytes())
        normalisation = Normalisation(
            *(arrays.pop(f"normalisation.{name}") for name in ("kept", "centre", "scale")),
            limit=about["feature_limit"],
        )
        n_features = int(normalisation.kept.sum())
        module = build_model(about["model"], n_features, dropout=0, feedback=about["feedback"])
        module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        return TrainedModel(
            about["model"], about["target"], about["seed"], normalisation, module.eval()
        )
    except (ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise EmotraceError(
            f"{path}: is damaged, or is not a model of this version of emotrace ({reason})",
            hint="name a file in the folder weights of a run; if it is one, remove that folder and "
            "run the workflow again",
        ) from error
    except OSError as error:
        raise EmotraceError(
            f"{path}: cannot be read ({error.strerror or error})",
            hint="name a file in the folder weights of a run, such as "
            "results/runs/compare/AT_64/weights/arousal_fold0_seed1.safetensors",
        ) from error


def _unpack_arrays(content: bytes) -> tuple[dict[str, np.ndarray], Mapping[str, Any]]:
    """Return the arrays of a safetensors file, and the metadata about them."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    about = json.loads(header.pop("__metadata__")["emotrace"])
    types = {name: np.dtype(numpy_name) for numpy_name, name in TYPES.items()}
    arrays = {}
    for name, entry in header.items():
        dtype, (first, end) = types[entry["dtype"]], entry["data_offsets"]
        if end - first != dtype.itemsize * math.prod(entry["shape"]):
            raise ValueError(f"{name} has {end - first} bytes and the shape {entry['shape']}")
        values = np.frombuffer(content[start + first : start + end], dtype)
        arrays[name] = values.reshape(entry["shape"]).copy()  # writable, as torch requires
    return arrays, about
