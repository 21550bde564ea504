"""LSTM without attention; ``LSTM_400`` is the paper's baseline."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from emotrace.models.layers import LSTMStack, Output


class Model(nn.Module):
    """Predict each frame from the hidden state of the last layer: y_t = g(h_t, y_{t-1}).

    Parameters
    ----------
    n_features : int
        Values per frame.
    sizes : sequence of int
        Units of each layer, from the input on.
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
        self.output = Output(self.recurrent.units, feedback)

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict; see `emotrace.models` for shapes. There are no attention weights."""
        return self.output(self.recurrent(features)), None
