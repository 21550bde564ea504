"""Fit one model to one target."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from emotrace.models import build_model
from emotrace.models.layers import shuffle_attention

if TYPE_CHECKING:
    from emotrace.training.checkpoint import Checkpoint
    from emotrace.training.settings import TrainingSettings

logger = logging.getLogger(__name__)

PREDICTED_AT_ONCE = 64
"""Number of clips that are predicted together."""


class DivergedError(Exception):
    """Raised when a fit reaches values that are not finite, so that it is of no use.

    The caller turns it into an error for the user, because everything that this module
    imports is part of a fit's recipe.

    Parameters
    ----------
    epoch : int
        Epoch in which it was noticed.
    what : str
        Description of the value that is not finite.
    """

    def __init__(self, epoch: int, what: str) -> None:
        super().__init__(f"in epoch {epoch}, {what}")


@dataclass
class Part:
    """Clips as tensors on the training device.

    Parameters
    ----------
    features : Tensor, shape (clips, frames, features)
        Normalised features.
    valid : Tensor of bool, shape (clips, frames)
        False where a frame is padding.
    labels : Tensor, shape (clips, frames)
        Annotations of one target.
    """

    features: Tensor
    valid: Tensor
    labels: Tensor


@dataclass
class Fitted:
    """A fitted model and the history of its training.

    Parameters
    ----------
    model : torch.nn.Module
        Model with the weights of the best epoch.
    history : list of dict
        For each epoch ``epoch``, ``training_loss`` and ``validation_loss``, both finite, and
        ``validation_r2``, which is nan if the labels of the validation set are constant.
    """

    model: nn.Module
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def best(self) -> dict[str, float]:
        """History of the epoch whose weights the model has."""
        return min(self.history, key=lambda epoch: epoch["validation_loss"])


def fit_model(
    name: str,
    fit: Part,
    validation: Part,
    settings: TrainingSettings,
    seed: int,
    checkpoint: Checkpoint | None = None,
    n_pieces: int = 1,
) -> Fitted:
    """Fit a model with early stopping on the validation loss.

    Parameters
    ----------
    name : str
        Name of the model, such as ``"AT_64"``.
    fit, validation : Part
        Training set and validation set. The first updates the weights; the second decides when
        training stops.
    settings : TrainingSettings
        Settings of the training.
    seed : int
        Seed of the initial weights, the order of the clips and dropout.
    checkpoint : Checkpoint, optional
        Saved state from which an interrupted fit resumes. On the CPU, the result is the same as
        without interruption.
    n_pieces : int
        Number of pieces in which each batch passes through the network, one after the other, if
        memory cannot hold the whole batch. Their gradients add up to the gradient of the batch.

    Returns
    -------
    Fitted
        Model with the weights of the best epoch, and the history of its training.

    Raises
    ------
    DivergedError
        If a loss is not finite.
    """
    training = _Training(name, fit, settings, seed, n_pieces)
    if checkpoint and (state := checkpoint.load(training.device)):
        try:
            training.restore(state)
            logger.info("going on after epoch %d", training.fitted.history[-1]["epoch"])
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            logger.warning("%s does not fit, so the fit starts again: %s", checkpoint.path, error)
            training = _Training(name, fit, settings, seed, n_pieces)
    while not training.is_over:
        training.run_epoch(fit, validation)
        if checkpoint and checkpoint.is_due():
            checkpoint.save(training.describe(), training.device)
    training.fitted.model.load_state_dict(training.best_weights)
    return training.fitted


def predict_shuffled(model: nn.Module, part: Part, seed: int, n_pieces: int = 1) -> Tensor:
    """Predict every frame with attention weights shuffled among the frames.

    Parameters
    ----------
    model : torch.nn.Module
        Fitted model.
    part : Part
        Clips to predict; the labels are not used.
    seed : int
        Seed of the shuffling.
    n_pieces : int
        See `fit_model`.

    Returns
    -------
    Tensor, shape (clips, frames)
        Predictions; nan if the model has no attention that can be shuffled.
    """
    with shuffle_attention(model, seed) as is_shuffled:
        predictions = _predict_frames(model, part, n_pieces)
    return predictions if is_shuffled else torch.full_like(predictions, math.nan)


def predict(model: nn.Module, part: Part, n_pieces: int = 1) -> tuple[Tensor, Tensor | None]:
    """Predict every frame.

    Parameters
    ----------
    model : torch.nn.Module
        Fitted model.
    part : Part
        Clips to predict; the labels are not used.
    n_pieces : int
        See `fit_model`.

    Returns
    -------
    predictions : Tensor, shape (clips, frames)
        Predicted values.
    weights : Tensor on the CPU, shape (clips, frames, frames), or None
        Attention weights of each frame; None for a model without attention.
    """
    predictions, weights = [], []
    for predicted, attended in _predict_batches(model, part, n_pieces):
        predictions.append(predicted)
        # Move the weights to CPU memory, since they grow with the square of the number of frames.
        weights.append(None if attended is None else attended.cpu())
    return torch.cat(predictions), None if weights[0] is None else torch.cat(weights)


def _predict_frames(model: nn.Module, part: Part, n_pieces: int) -> Tensor:
    return torch.cat([predicted for predicted, _ in _predict_batches(model, part, n_pieces)])


@torch.no_grad()
def _predict_batches(
    model: nn.Module, part: Part, n_pieces: int
) -> Iterator[tuple[Tensor, Tensor | None]]:
    model.eval()
    n_clips = math.ceil(PREDICTED_AT_ONCE / n_pieces)
    for start in range(0, len(part.features), n_clips):
        batch = slice(start, start + n_clips)
        yield model(part.features[batch], part.valid[batch])


class _Stopper:
    """Early stopping as in Keras: stop after too many epochs with too little improvement."""

    def __init__(self, patience: int, min_delta: float) -> None:
        self.patience = patience
        self.min_delta = min_delta
        self.lowest = math.inf
        self.waited = 0

    def is_over(self, loss: float) -> bool:
        if loss < self.lowest - self.min_delta:
            self.lowest = loss
            self.waited = 0
        else:
            self.waited += 1
        return self.waited >= self.patience


class _Training:
    """Everything that changes from epoch to epoch."""

    def __init__(
        self, name: str, fit: Part, settings: TrainingSettings, seed: int, n_pieces: int
    ) -> None:
        torch.manual_seed(seed)
        self.settings = settings
        self.n_pieces = n_pieces
        self.device = fit.features.device
        model = build_model(
            name,
            fit.features.shape[-1],
            dropout=settings.dropout,
            feedback=settings.feedback,
        ).to(self.device)
        self.fitted = Fitted(model)
        self.optimizer = _build_optimizer(model, settings)
        self.order = torch.Generator().manual_seed(seed)
        self.stopper = _Stopper(settings.patience, settings.min_delta)
        self.best_weights: dict[str, Tensor] = {}
        self.is_over = False

    def run_epoch(self, fit: Part, validation: Part) -> None:
        model, history = self.fitted.model, self.fitted.history
        epoch = len(history) + 1
        batch_size = self.settings.batch_size
        training_loss = _run_epoch(
            model, fit, self.optimizer, batch_size, self.order, self.n_pieces
        )
        predictions = _predict_frames(model, validation, self.n_pieces)
        loss, r2 = _score(predictions, validation)
        for name, value in (("the training loss", training_loss), ("the validation loss", loss)):
            if not math.isfinite(value):
                raise DivergedError(epoch, f"{name} is {value}")
        history.append(
            {
                "epoch": epoch,
                "training_loss": training_loss,
                "validation_loss": loss,
                "validation_r2": r2,
            }
        )
        if self.fitted.best["epoch"] == epoch:
            self.best_weights = {key: value.clone() for key, value in model.state_dict().items()}
        self.is_over = self.stopper.is_over(loss) or epoch == self.settings.max_epochs

    def describe(self) -> dict[str, Any]:
        return {
            "weights": self.fitted.model.state_dict(),
            "best_weights": self.best_weights,
            "optimizer": self.optimizer.state_dict(),
            "history": self.fitted.history,
            "stopper": [self.stopper.lowest, self.stopper.waited],
            "order": self.order.get_state(),
            "random": torch.get_rng_state(),
            "random_gpu": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
            "is_over": self.is_over,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.fitted.model.load_state_dict(state["weights"])
        self.best_weights = state["best_weights"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.fitted.history = state["history"]
        self.stopper.lowest, self.stopper.waited = state["stopper"]
        self.order.set_state(state["order"].cpu())
        torch.set_rng_state(state["random"].cpu())
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_gpu"].cpu())
        self.is_over = state["is_over"]


def _build_optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "rmsprop":
        # Use the constants of TensorFlow 1.14, which differ from torch's.
        return torch.optim.RMSprop(trained, lr=rate, weight_decay=decay, alpha=0.9, eps=1e-7)
    return torch.optim.AdamW(trained, lr=rate, weight_decay=decay)


def _run_epoch(
    model: nn.Module,
    part: Part,
    optimizer: torch.optim.Optimizer,
    batch_size: int,
    generator: torch.Generator,
    n_pieces: int,
) -> float:
    model.train()
    total, frames = 0.0, 0
    order = torch.randperm(len(part.features), generator=generator).to(part.features.device)
    for batch in order.split(batch_size):
        batch_frames = int(part.valid[batch].sum())
        optimizer.zero_grad(set_to_none=True)
        for rows in batch.split(math.ceil(batch_size / n_pieces)):
            valid = part.valid[rows]
            predictions, _ = model(part.features[rows], valid)
            loss = nn.functional.mse_loss(predictions[valid], part.labels[rows][valid])
            n_frames = int(valid.sum())
            # Weighted by frames, the gradients of the pieces add up to that of the batch.
            (loss * (n_frames / batch_frames)).backward()
            total += loss.item() * n_frames
        optimizer.step()
        frames += batch_frames
    return total / frames


def _score(predictions: Tensor, part: Part) -> tuple[float, float]:
    labels = part.labels[part.valid]
    error = nn.functional.mse_loss(predictions[part.valid], labels).item()
    # Because of rounding, the variance of equal labels can be above 0.
    is_constant = bool(labels.min() == labels.max())
    variance = 0.0 if is_constant else labels.var(correction=0).item()
    return error, 1.0 - error / variance if variance > 0 else math.nan
