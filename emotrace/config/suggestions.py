"""What was meant where a name is misspelt."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

from emotrace.models.families import list_families, parse_model_name, read_family

MOST_LETTERS = 150
"""Of a value that a message repeats."""


def suggest(name: str, valid: Iterable[str]) -> str:
    """Say which valid name is nearest, or which ones there are."""
    valid = [str(option) for option in valid]
    nearest = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if nearest:
        return f"did you mean {nearest[0]}?"
    listed = ", ".join(valid[:12]) + (", ..." if len(valid) > 12 else "")
    return f"valid are: {listed}"


def explain_model(name: str) -> str:
    """Say why a name is no model, and which model may be meant."""
    family, *numbers = name.split("_")
    reason = ""
    if numbers and family in list_families():
        try:
            parse_model_name(name)
        except ValueError as error:
            reason = f": {error}"
    return f"{shorten(name)} is no model{reason}; {suggest(name, _list_models_like(numbers))}"


def shorten(value: Any) -> str:
    """Write a value as in Python, but no more of it than a message can hold."""
    text = _Shortener().repr(value)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 3]}..."


class _Shortener(reprlib.Repr):
    """Looks at few items and not deep, for YAML's aliases can nest a billion in a few lines."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = self.maxlong = MOST_LETTERS

    def repr_int(self, value: int, level: int) -> str:
        """Write a number, unless Python refuses because it has too many digits."""
        try:
            return super().repr_int(value, level)
        except ValueError:
            return "a number of thousands of digits"


def _list_models_like(numbers: Sequence[str]) -> list[str]:
    """Give the sizes of a misspelt name, or usual ones, to every family."""
    sizes = [int(number[:9]) for number in numbers if re.fullmatch("[0-9]+", number)]
    models = []
    for family in list_families():
        facts = read_family(family)
        within = [min(size, facts.largest_size) for size in sizes if size > 0][: facts.most_sizes]
        models.append("_".join([family, *map(str, within or [1])]))
    return models
