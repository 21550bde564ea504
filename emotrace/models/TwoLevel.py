"""TwoLevel: what a clip is like, by attention; and how it moves, by reading it both ways."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emotrace.models.BiLSTM import reverse
from emotrace.models.layers import Attention, ClipDropout, LSTMStack, Output, initialise_linear

FACTS = {"attention": "once", "controls": {"UniformTwoLevel": "with uniform weights"}}

LEVEL_PACE = 4.0
"""Pace at which the level learns. Of 1, 4 and as many as undo the division by sqrt(n), tried on
development clips of emoMusic, smaller ones follow the movement better, larger ones the level."""


class Model(nn.Module):
    """Predict the clip's level and the frames' deviations from it: y_t = m + r_t.

    Of emoMusic's labels 98 % of the variance lies between clips, so that a model
    of frames has little reason to learn how music moves, and states that move have
    little use for the level. Here the two are apart:

    - z_t = tanh(W x_t), the frames in few dimensions;
    - m = w . sum_j alpha_j x_j, the level: a regression on the clip's mean, weighted
      by alpha = softmax(v . z_j). What frame j adds to it is alpha_j w . x_j;
    - r_t, the movement, read from z by LSTMs in both directions, with mean zero.

    Parameters
    ----------
    n_features : int
        Values per frame.
    sizes : sequence of int
        Dimensions of z, then units of the LSTM layers; one layer of as many where not given.
    dropout : float
        Share of the values set to zero while training: of the features, of their
        weighted mean, and around the LSTM layers.
    feedback : bool
        See `emotrace.models.layers.Output`; of the movement.
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
        # A step moves every weight by as much, and so a sum of n features by n times as much.
        self.pace = LEVEL_PACE / math.sqrt(n_features)
        self.level = nn.Sequential(nn.Dropout(dropout), nn.Linear(n_features, 1))
        self.forwards = LSTMStack(n_dimensions, units, dropout)
        self.backwards = LSTMStack(n_dimensions, units, dropout)
        self.movement = Output(2 * units[-1], feedback)
        initialise_linear(self.bottleneck[1])
        initialise_linear(self.score)
        # Both begin with what is most probable: the same for all clips, and no movement.
        nn.init.zeros_(self.level[1].weight)
        nn.init.zeros_(self.movement.linear.weight)

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict, and return alpha for every frame alike; see `emotrace.models` for shapes."""
        frames = self.bottleneck(features)  # (clips, frames, dimensions)
        weights = self.weigh(frames, valid)
        mean = (weights @ features)[:, 0] * self.pace
        predictions = self.level(mean) + self.move(frames, valid)
        return predictions, weights.expand(-1, features.shape[1], -1)

    def weigh(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Return alpha, ``(clips, 1, frames)``."""
        return self.attention(self.score(frames).transpose(1, 2), valid[:, None, :])

    def move(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Return the movement, ``(clips, frames)``, whose mean over a clip's frames is zero."""
        after = reverse(self.backwards(reverse(frames, valid)), valid)
        movement = self.movement(torch.cat([self.forwards(frames), after], dim=-1)) * valid
        return movement - movement.sum(dim=1, keepdim=True) / valid.sum(dim=1, keepdim=True)
