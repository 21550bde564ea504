"""Model families: one file each, and the file's name is the family's name.

A family is a module with a class ``Model(n_features, sizes, *, dropout,
feedback)``; the numbers in a model's name are its ``sizes``, so that ``AT_64``
is ``AT.Model(n_features, (64,), ...)``. Its ``forward(features, valid)`` takes

- features, ``(clips, frames, features)``, clips padded at their end,
- valid, ``(clips, frames)``, False where a frame is padding,

and returns predictions, ``(clips, frames)``, and attention weights, ``(clips,
frames, frames)`` (rows: predicted frame, columns: attended frame), or None.

This module imports no torch: the workflow asks it for names while it plans.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


MOST_UNITS = 4096
"""Units of a layer; the paper's largest has 2048."""

MOST_LAYERS = 8
"""Layers of a model; the paper's largest has four."""


def list_families() -> list[str]:
    """Return the names of all model families, the capitalised files of this folder."""
    return sorted(file.stem for file in Path(__file__).parent.glob("[A-Z]*.py"))


def parse_model_name(name: str) -> tuple[str, tuple[int, ...]]:
    """Split a model's name into its family and sizes.

    Parameters
    ----------
    name : str
        Such as ``"AT_2048_1024"``.

    Returns
    -------
    family : str
        Such as ``"AT"``.
    sizes : tuple of int
        Such as ``(2048, 1024)``.

    Raises
    ------
    ValueError
        If the name is not a family followed by sizes that can be trained.

    Examples
    --------
    >>> parse_model_name("AT_2048_1024")
    ('AT', (2048, 1024))
    """
    family, *numbers = name.split("_")
    if family not in list_families() or not numbers:
        raise ValueError(f"{name} is not a family followed by sizes, as in AT_64")
    if not all(re.fullmatch("[1-9][0-9]*", number) for number in numbers):
        raise ValueError(
            "a name is a family followed by sizes, whole numbers from 1 on without leading zeros"
        )
    largest, longest = limit_sizes(family)
    if len(numbers) > longest:
        most = "one size" if longest == 1 else f"at most {longest} sizes"
        raise ValueError(f"{family} takes {most}")
    # Python refuses to read numbers of thousands of digits.
    if any(len(number) > len(str(largest)) or int(number) > largest for number in numbers):
        raise ValueError(f"sizes of {family} are at most {largest}")
    return family, tuple(int(number) for number in numbers)


def limit_sizes(family: str) -> tuple[int, int]:
    """Return the largest size of a family and the largest number of its sizes."""
    # A Transformer has a number of layers and no other size.
    return (MOST_LAYERS, 1) if family == "Transformer" else (MOST_UNITS, MOST_LAYERS)


def build_model(name: str, n_features: int, *, dropout: float, feedback: bool) -> nn.Module:
    """Build a model from its name, with freshly drawn weights.

    Examples
    --------
    >>> import torch
    >>> model = build_model("AT_8", n_features=24, dropout=0.0, feedback=False)
    >>> features, valid = torch.zeros(2, 60, 24), torch.ones(2, 60, dtype=torch.bool)
    >>> predictions, attention = model(features, valid)
    >>> predictions.shape, attention.shape
    (torch.Size([2, 60]), torch.Size([2, 60, 60]))
    """
    family, sizes = parse_model_name(name)
    module = importlib.import_module(f"emotrace.models.{family}")
    return module.Model(n_features, sizes, dropout=dropout, feedback=feedback)
