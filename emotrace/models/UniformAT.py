"""UniformAT: AT with uniform attention, a control that shows what learnt attention adds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emotrace.models.layers import LSTMStack, Output


class Model(nn.Module):
    """Predict each frame from its state and the clip's mean state: y_t = g(h_t, y_{t-1}, c).

    AT with alpha_tj = 1/T: the context is the same for all frames.

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
        self.output = Output(2 * self.recurrent.units, feedback)

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict; see `emotrace.models` for shapes. The weights are equal, and not returned."""
        hidden = self.recurrent(features)  # (clips, frames, units)
        heard = valid[:, :, None].to(hidden.dtype)  # (clips, frames, 1)
        context = (heard * hidden).sum(dim=1, keepdim=True) / heard.sum(dim=1, keepdim=True)
        context = context.expand_as(hidden)
        return self.output(torch.cat([hidden, context], dim=-1)), None
