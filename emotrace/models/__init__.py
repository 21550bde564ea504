"""Model families: one file each, and the file's name is the family's name.

A family is a module with a class ``Model(n_features, sizes, *, dropout,
feedback)``; the numbers in a model's name are its ``sizes``, so that ``AT_64``
is ``AT.Model(n_features, (64,), ...)``. Its ``forward(features, valid)`` takes

- features, ``(clips, frames, features)``, clips padded at their end,
- valid, ``(clips, frames)``, False where a frame is padding,

and returns predictions, ``(clips, frames)``, and attention weights, ``(clips,
frames, frames)`` (rows: predicted frame, columns: attended frame), or None.

A module may say in ``FACTS`` what its attention covers, which families are its
controls, and how many sizes it takes; see `emotrace.models.families.Family`.

This module imports no torch until it builds a model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def build_model(name: str, n_features: int, *, dropout: float, feedback: bool) -> nn.Module:
    """Build a model from its name, with freshly drawn weights."""
    family, *sizes = name.split("_")
    module = importlib.import_module(f"emotrace.models.{family}")
    return module.Model(n_features, tuple(map(int, sizes)), dropout=dropout, feedback=feedback)
