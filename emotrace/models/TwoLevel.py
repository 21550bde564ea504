"""TwoLevel: the clip's level from attention, and its movement from a bidirectional LSTM."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emotrace.models.BiLSTM import reverse
from emotrace.models.layers import Attention, ClipDropout, LSTMStack, Output, initialise_linear

FACTS = {"attention": "once", "controls": {"UniformTwoLevel": "with uniform weights"}}

LEVEL_PACE = 4.0
"""Rate at which the level learns. Of 1, 4 and the value that undoes the division by sqrt(n), tried
on development clips of emoMusic, smaller ones follow the movement better, larger ones the level."""


class Model(nn.Module):
    """Predict the clip's level and the frames' deviations from it: y_t = m + r_t.

    In emoMusic, 98 % of the variance of the labels lies between clips. A model of frames
    therefore has little reason to learn how music moves, and states that move are of little use
    for the level. This model separates the two:

    - z_t = tanh(W x_t), the frames in few dimensions;
    - m = w . sum_j alpha_j x_j, the level: a regression on the mean of the clip, weighted by
      alpha = softmax(v . z_j). Frame j contributes alpha_j w . x_j;
    - r_t, the movement, computed from z by LSTMs in both directions, with mean zero.

    Parameters
    ----------
    n_features : int
        Values per frame.
    sizes : sequence of int
        Dimensions of z, then units of the LSTM layers. If only the dimensions are given, there is
        one LSTM layer with as many units.
    dropout : float
        Share of the values set to zero in training: of the features, of their weighted mean,
        and around the LSTM layers.
    feedback : bool
        Applies to the movement; see `emotrace.models.layers.Output`.
    """

    def __init__(
        self, n_features: int, sizes: Sequence[int], *, dropout: float, feedback: bool
    ) -> None:
        super().__init__()
        n_dimensions, *units = sizes
        units = units or [n_dimensions]
        self.bottleneck = nn.Sequential(
            ClipDropout(dropout), nn.Linear(n_features, n_dimensions), nn.Tanh()
        )
        self.score = nn.Linear(n_dimensions, 1, bias=False)
        self.attention = Attention()
        # A step changes each weight by the same amount, and thus a sum of n features by n times it.
        self.pace = LEVEL_PACE / math.sqrt(n_features)
        self.level = nn.Sequential(nn.Dropout(dropout), nn.Linear(n_features, 1))
        self.forwards = LSTMStack(n_dimensions, units, dropout)
        self.backwards = LSTMStack(n_dimensions, units, dropout)
        self.movement = Output(2 * units[-1], feedback)
        initialise_linear(self.bottleneck[1])
        initialise_linear(self.score)
        # Start with the most probable output: the same level for all clips, and no movement.
        nn.init.zeros_(self.level[1].weight)
        nn.init.zeros_(self.movement.linear.weight)

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict, and return the same alpha for every frame; see `emotrace.models` for shapes."""
        frames = self.bottleneck(features)  # (clips, frames, dimensions)
        weights = self.weigh(frames, valid)
        mean = (weights @ features)[:, 0] * self.pace
        predictions = self.level(mean) + self.move(frames, valid)
        return predictions, weights.expand(-1, features.shape[1], -1)

    def weigh(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Return alpha, ``(clips, 1, frames)``."""
        return self.attention(self.score(frames).transpose(1, 2), valid[:, None, :])

    def move(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Return the movement, ``(clips, frames)``; its mean over the frames of a clip is zero."""
        after = reverse(self.backwards(reverse(frames, valid)), valid)
        movement = self.movement(torch.cat([self.forwards(frames), after], dim=-1)) * valid
        return movement - movement.sum(dim=1, keepdim=True) / valid.sum(dim=1, keepdim=True)
