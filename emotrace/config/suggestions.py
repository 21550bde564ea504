"""Suggest valid names for misspelt ones."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

from emotrace.models.families import list_families, parse_model_name, read_family

MOST_LETTERS = 150
"""Largest number of characters of a value in a message."""


def suggest(name: str, valid: Iterable[str]) -> str:
    """Return a sentence with the nearest valid name, or with all valid names."""
    valid = [str(option) for option in valid]
    nearest = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if nearest:
        return f"did you mean {nearest[0]}?"
    listed = ", ".join(valid[:12]) + (", ..." if len(valid) > 12 else "")
    return f"valid are: {listed}"


def explain_model(name: str) -> str:
    """Explain why a name is not a valid model, and suggest a model."""
    family, *numbers = name.split("_")
    reason = ""
    if numbers and family in list_families():
        try:
            parse_model_name(name)
        except ValueError as error:
            reason = f": {error}"
    return f"{shorten(name)} is not a model{reason}; {suggest(name, _list_models_like(numbers))}"


def shorten(value: Any) -> str:
    """Format a value as in Python, shortened to fit in a message."""
    text = _Shortener().repr(value)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 3]}..."


class _Shortener(reprlib.Repr):
    """Shorten values without visiting many items: YAML's aliases can nest a billion of them."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = self.maxlong = MOST_LETTERS

    def repr_int(self, value: int, level: int) -> str:
        """Format a number, even if Python refuses because it has too many digits."""
        try:
            return super().repr_int(value, level)
        except ValueError:
            return "a number of thousands of digits"


def _list_models_like(numbers: Sequence[str]) -> list[str]:
    """List models of every family with the sizes of a misspelt name, or with usual sizes."""
    sizes = [int(number[:9]) for number in numbers if re.fullmatch("[0-9]+", number)]
    models = []
    for family in list_families():
        facts = read_family(family)
        within = [min(size, facts.largest_size) for size in sizes if size > 0][: facts.most_sizes]
        models.append("_".join([family, *map(str, within or [1])]))
    return models
