"""Layers that the model families share, initialised as in TensorFlow 1.14 (the paper's)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class ClipDropout(nn.Module):
    """Dropout that removes the same values from all frames of a clip.

    See Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
    Networks" (2016). A recurrent layer cannot average such dropout away over time, and it draws
    one random number per value instead of one per frame.

    Parameters
    ----------
    share : float
        Share of the values set to zero in training.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Apply dropout to ``(clips, frames, values)``."""
        if not self.training or self.share == 0:
            return values
        kept = torch.rand_like(values[:, :1]) >= self.share
        return values * (kept / (1 - self.share))


class LSTMStack(nn.Module):
    """A stack of LSTM layers.

    Input weights are Glorot-uniform, recurrent weights are orthogonal, and the forget bias is
    1. Only one of torch's two bias vectors is trained, because the optimizer would otherwise
    change their sum twice as fast as in the paper.

    Parameters
    ----------
    n_features : int
        Values per frame.
    sizes : sequence of int
        Units of each layer; in ``(2048, 1024)``, the first layer has 2048 units.
    dropout : float
        Share of the values set to zero before each layer and after the last.
    """

    def __init__(self, n_features: int, sizes: Sequence[int], dropout: float) -> None:
        super().__init__()
        inputs = [n_features, *sizes[:-1]]
        self.layers = nn.ModuleList(
            nn.LSTM(n_inputs, units, batch_first=True)
            for n_inputs, units in zip(inputs, sizes, strict=True)
        )
        self.dropout = ClipDropout(dropout)
        self.units = sizes[-1]
        for layer in self.layers:
            _initialise_lstm(layer)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(clips, frames, features)`` to ``(clips, frames, units)``."""
        hidden = features
        for layer in self.layers:
            hidden, _ = layer(self.dropout(hidden))
        return self.dropout(hidden)


def _initialise_lstm(layer: nn.LSTM) -> None:
    nn.init.xavier_uniform_(layer.weight_ih_l0)
    nn.init.orthogonal_(layer.weight_hh_l0)
    nn.init.zeros_(layer.bias_hh_l0)
    layer.bias_hh_l0.requires_grad_(False)
    nn.init.zeros_(layer.bias_ih_l0)
    with torch.no_grad():
        # torch orders the gates input, forget, cell, output.
        layer.bias_ih_l0[layer.hidden_size : 2 * layer.hidden_size] = 1.0


class AdditiveAlignment(nn.Module):
    """Alignment score e_tj = v . tanh(W h_{t-1} + U h_j), after Bahdanau et al.

    Parameters
    ----------
    units : int
        Size of a hidden state, and of the space in which two states are compared.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.query = nn.Linear(units, units)
        self.key = nn.Linear(units, units, bias=False)
        self.score = nn.Linear(units, 1, bias=False)
        for linear in (self.query, self.key, self.score):
            initialise_linear(linear)

    def forward(self, hidden: Tensor) -> Tensor:
        """Score every frame j for every frame t.

        Parameters
        ----------
        hidden : Tensor, shape (clips, frames, units)
            Hidden state of each frame.

        Returns
        -------
        Tensor, shape (clips, frames, frames)
            Rows t, columns j; the state before the first frame is zero.
        """
        previous = torch.zeros_like(hidden)
        previous[:, 1:] = hidden[:, :-1]
        pairs = self.query(previous)[:, :, None] + self.key(hidden)[:, None, :]
        return self.score(torch.tanh(pairs)).squeeze(-1)


class Attention(nn.Module):
    """Convert scores to weights alpha_tj that sum to 1 over the allowed frames j.

    This layer has no weights of its own. It is a module so that `shuffle_attention` finds it.
    """

    def forward(self, scores: Tensor, allowed: Tensor) -> Tensor:
        """Compute the weights.

        Parameters
        ----------
        scores : Tensor, shape (clips, frames, frames)
            Alignment scores.
        allowed : Tensor of bool, broadcastable to the shape of `scores`
            Whether each frame may be attended to.

        Returns
        -------
        Tensor, shape (clips, frames, frames)
            Weights; zero where not allowed, and all zero in a row without allowed frames.
        """
        lowest = torch.finfo(scores.dtype).min
        weights = torch.softmax(scores.masked_fill(~allowed, lowest), dim=-1)
        return weights * allowed


@contextmanager
def shuffle_attention(model: nn.Module, seed: int) -> Iterator[bool]:
    """Make a model attend at random: permute each frame's weights among the allowed frames.

    Parameters
    ----------
    model : torch.nn.Module
        Model whose attention is shuffled.
    seed : int
        Seed of the permutation.

    Yields
    ------
    bool
        Whether the model has attention that can be shuffled.
    """
    generator = torch.Generator().manual_seed(seed)

    def shuffle(_: nn.Module, inputs: tuple[Tensor, Tensor], weights: Tensor) -> Tensor:
        allowed = inputs[1].expand_as(weights).to(torch.uint8)
        drawn = torch.rand(weights.shape, generator=generator).to(weights.device)
        # Both list the allowed frames first: `places` in order, `dealt` in random order.
        places = torch.argsort(allowed, dim=-1, descending=True, stable=True)
        dealt = torch.argsort(drawn + allowed, dim=-1, descending=True)
        return torch.zeros_like(weights).scatter(-1, places, weights.gather(-1, dealt))

    found = [module for module in model.modules() if isinstance(module, Attention)]
    hooks = [module.register_forward_hook(shuffle) for module in found]
    try:
        yield bool(found)
    finally:
        for hook in hooks:
            hook.remove()


class Output(nn.Module):
    """Output y_t = g(state_t, y_{t-1}) with a linear g.

    The previous output is always the model's own, in training as well. True labels are never
    fed back, so none can leak when the model is tested.

    Parameters
    ----------
    n_inputs : int
        Size of a frame's state (the hidden state, and the context if there is one).
    feedback : bool
        Whether the previous output is fed back; it is zero for the first frame.
    """

    def __init__(self, n_inputs: int, feedback: bool) -> None:
        super().__init__()
        self.feedback = feedback
        self.linear = nn.Linear(n_inputs + feedback, 1)
        initialise_linear(self.linear)

    def forward(self, states: Tensor) -> Tensor:
        """Map ``(clips, frames, inputs)`` to predictions ``(clips, frames)``."""
        if not self.feedback:
            return self.linear(states).squeeze(-1)
        weights, previous_weight = self.linear.weight[0, :-1], self.linear.weight[0, -1]
        present = states @ weights + self.linear.bias
        outputs = [present[:, 0]]
        for frame in range(1, present.shape[1]):
            outputs.append(present[:, frame] + previous_weight * outputs[-1])
        return torch.stack(outputs, dim=1)


def initialise_linear(linear: nn.Linear) -> None:
    """Draw Glorot-uniform weights and set the bias to zero."""
    nn.init.xavier_uniform_(linear.weight)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
