"""AT: attention over the whole clip."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emotrace.models.layers import AdditiveAlignment, Attention, LSTMStack, Output

FACTS = {
    "attention": "clip",
    "controls": {
        "UniformAT": "with uniform weights",
        "BiLSTM": "with two directions instead",
        "LSTM": "without a context",
    },
}


class Model(nn.Module):
    """Predict each frame from its state and from a context: y_t = g(h_t, y_{t-1}, c_t).

    The context c_t = sum_j alpha_tj h_j runs over all frames of the clip (the
    paper's section on models; e_tj = a(h_{t-1}, h_j) is additive).

    Parameters
    ----------
    n_features : int
        Values per frame.
    sizes : sequence of int
        Units of each LSTM layer, from the input on.
    dropout : float
        See `emotrace.models.layers.LSTMStack`.
    feedback : bool
        See `emotrace.models.layers.Output`.
    """

    def __init__(
        self, n_features: int, sizes: Sequence[int], *, dropout: float, feedback: bool
    ) -> None:
        super().__init__()
        self.recurrent = LSTMStack(n_features, sizes, dropout)
        self.alignment = AdditiveAlignment(self.recurrent.units)
        self.attention = Attention()
        self.output = Output(2 * self.recurrent.units, feedback)

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict, and return the weights alpha; see `emotrace.models` for shapes."""
        hidden = self.recurrent(features)  # (clips, frames, units)
        weights = self.attention(self.alignment(hidden), self.allow_frames(valid))
        context = weights @ hidden
        return self.output(torch.cat([hidden, context], dim=-1)), weights

    def allow_frames(self, valid: Tensor) -> Tensor:
        """Allow every frame of the clip, ``(clips, 1, frames)``."""
        return valid[:, None, :]
