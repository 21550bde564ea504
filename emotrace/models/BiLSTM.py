"""BiLSTM: reads the clip forwards and backwards, without attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emotrace.models.layers import LSTMStack, Output


class Model(nn.Module):
    """Predict each frame from the frames before and after it.

    Like AT, the model uses the whole clip at every frame; unlike AT, it cannot choose which
    parts of it to attend to.

    Parameters
    ----------
    n_features : int
        Values per frame.
    sizes : sequence of int
        Units of each LSTM layer, in each direction.
    dropout : float
        See `emotrace.models.layers.LSTMStack`.
    feedback : bool
        See `emotrace.models.layers.Output`.
    """

    def __init__(
        self, n_features: int, sizes: Sequence[int], *, dropout: float, feedback: bool
    ) -> None:
        super().__init__()
        self.forwards = LSTMStack(n_features, sizes, dropout)
        self.backwards = LSTMStack(n_features, sizes, dropout)
        self.output = Output(2 * self.forwards.units, feedback)

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict; see `emotrace.models` for shapes. There are no attention weights."""
        after = reverse(self.backwards(reverse(features, valid)), valid)
        return self.output(torch.cat([self.forwards(features), after], dim=-1)), None


def reverse(values: Tensor, valid: Tensor) -> Tensor:
    """Reverse ``(clips, frames, values)`` in time; padding stays at the end."""
    frames = torch.arange(valid.shape[1], device=valid.device)
    turned = torch.where(valid, valid.sum(dim=1, keepdim=True) - 1 - frames, frames)
    return values.gather(1, turned[:, :, None].expand_as(values))
