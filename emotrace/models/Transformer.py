"""Transformer encoder; ``Transformer_2`` has two layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emotrace.models.layers import ClipDropout, Output, initialise_linear

# The only size is the number of layers. All layers have attention, so a map of the last layer
# explains little, and none is drawn.
FACTS = {"most_sizes": 1, "largest_size": 8}

UNITS = 128
HEADS = 4
FEED_FORWARD_UNITS = 256
"""Units of the feed-forward part. The paper gives only the number of layers; this size and the two
above are our choice."""


class Model(nn.Module):
    """Encode the clip with self-attention and predict each frame from its encoding.

    Parameters
    ----------
    n_features : int
        Values per frame.
    sizes : sequence of int
        One number, the number of layers.
    dropout : float
        Share of the values set to zero before the first layer, inside each
        layer and before the output.
    feedback : bool
        See `emotrace.models.layers.Output`.
    """

    def __init__(
        self, n_features: int, sizes: Sequence[int], *, dropout: float, feedback: bool
    ) -> None:
        super().__init__()
        (n_layers,) = sizes
        self.dropout = ClipDropout(dropout)
        self.projection = nn.Linear(n_features, UNITS)
        initialise_linear(self.projection)
        self.layers = nn.ModuleList(EncoderLayer(dropout) for _ in range(n_layers))
        self.norm = nn.LayerNorm(UNITS)
        self.output = Output(UNITS, feedback)

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict, and return the last layer's weights averaged over heads."""
        encoded = self.projection(self.dropout(features))
        encoded = encoded + encode_positions(encoded.shape[1]).to(encoded)
        for layer in self.layers:
            encoded, weights = layer(encoded, valid)
        return self.output(self.dropout(self.norm(encoded))), weights


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward part, each with pre-normalisation and a skip connection."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(UNITS)
        self.attention = nn.MultiheadAttention(UNITS, HEADS, dropout=dropout, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(UNITS),
            nn.Linear(UNITS, FEED_FORWARD_UNITS),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(FEED_FORWARD_UNITS, UNITS),
            nn.Dropout(dropout),
        )

    def forward(self, encoded: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new encoding and the weights ``(clips, frames, frames)``."""
        normed = self.attention_norm(encoded)
        attended, weights = self.attention(
            normed, normed, normed, key_padding_mask=~valid, need_weights=True
        )
        encoded = encoded + attended
        return encoded + self.feed_forward(encoded), weights


def encode_positions(n_frames: int) -> Tensor:
    """Return sines and cosines of the frame number, ``(frames, units)``.

    See Vaswani et al., "Attention Is All You Need", section 3.5.
    """
    frames = torch.arange(n_frames)[:, None]
    rates = torch.exp(-math.log(10_000) * torch.arange(0, UNITS, 2) / UNITS)
    positions = torch.zeros(n_frames, UNITS)
    positions[:, 0::2] = torch.sin(frames * rates)
    positions[:, 1::2] = torch.cos(frames * rates)
    return positions
