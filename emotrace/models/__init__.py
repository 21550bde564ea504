"""Model families; each is one file, named like the family.

A family is a module with a class ``Model(n_features, sizes, *, dropout, feedback)``. The numbers
in a model's name are its ``sizes``, so that ``AT_64`` is ``AT.Model(n_features, (64,), ...)``.
Its ``forward(features, valid)`` takes

- features, ``(clips, frames, features)``, with clips padded at their end,
- valid, ``(clips, frames)``, False where a frame is padding,

and returns predictions, ``(clips, frames)``, and attention weights, ``(clips, frames, frames)``
(rows: predicted frame, columns: attended frame), or None.

A module may state in ``FACTS`` what its attention covers, which families are its controls, and
how many sizes it takes; see `emotrace.models.families.Family`.

This module does not import torch until it builds a model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def build_model(name: str, n_features: int, *, dropout: float, feedback: bool) -> nn.Module:
    """Build a model from its name, with new random weights.

    Examples
    --------
    >>> import torch
    >>> model = build_model("AT_8", n_features=24, dropout=0.0, feedback=False)
    >>> features, valid = torch.zeros(2, 60, 24), torch.ones(2, 60, dtype=torch.bool)
    >>> predictions, attention = model(features, valid)
    >>> predictions.shape, attention.shape
    (torch.Size([2, 60]), torch.Size([2, 60, 60]))
    """
    family, *sizes = name.split("_")
    module = importlib.import_module(f"emotrace.models.{family}")
    return module.Model(n_features, tuple(map(int, sizes)), dropout=dropout, feedback=feedback)
