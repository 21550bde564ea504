"""Read the facts about the model families, which each family's file states in ``FACTS``.

The facts are read from the text of the file, because the workflow needs them during planning,
without torch. They are not part of the key under which fits are stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from emotrace.reruns.code import FACTS, read_constant
from emotrace.runtime.errors import EmotraceError

FOLDER = Path(__file__).parent

COVERED = ("clip", "past", "once")
"""What attention can cover; see `Family`."""

MOST_UNITS = 4096
"""Largest number of units per layer; the paper's largest model has 2048."""

MOST_LAYERS = 8
"""Largest number of layers; the paper's largest model has four."""


@dataclass(frozen=True)
class Family:
    """Facts about a family; those that its ``FACTS`` do not state have the defaults.

    Parameters
    ----------
    attention : {"clip", "past", "once"}, optional
        Frames to which each predicted frame attends: all frames of the clip, or those before it;
        with "once", all predicted frames share one weighting of the clip's frames. Figures of
        attention are drawn for these. None if there is no attention, or none worth drawing.
    controls : dict of str to str
        Families that differ from this one only in their attention, and how they differ, such as
        "with uniform weights".
    most_sizes : int
        Largest number of sizes in a model's name.
    largest_size : int
        Largest value of a size.
    """

    attention: str | None = None
    controls: Mapping[str, str] = field(default_factory=dict)
    most_sizes: int = MOST_LAYERS
    largest_size: int = MOST_UNITS


def list_families() -> list[str]:
    """Return the names of all model families, the capitalised files of this folder."""
    return sorted(file.stem for file in FOLDER.glob("[A-Z]*.py"))


@cache
def read_family(name: str) -> Family:
    """Read the facts about a family.

    Parameters
    ----------
    name : str
        Name of the family; see `list_families`.

    Raises
    ------
    EmotraceError
        If the file states a fact that is not valid.
    """
    file = FOLDER / f"{name}.py"
    facts = read_constant(file, FACTS, default={})
    wrong = _find_wrong_fact(facts)
    if wrong:
        raise EmotraceError(
            f"{file}: {FACTS} {wrong}",
            hint='emotrace/models/families.py explains the facts; FACTS = {"attention": "clip"} '
            "is an example",
        )
    return Family(**facts)


def describe_families(models: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the facts about the families of some models, by name, for rules that need them."""
    names = sorted({parse_model_name(model)[0] for model in models})
    return {name: asdict(read_family(name)) for name in names}


def parse_model_name(name: str) -> tuple[str, tuple[int, ...]]:
    """Split a model's name into its family and sizes.

    Parameters
    ----------
    name : str
        Name of the model, such as ``"AT_2048_1024"``.

    Returns
    -------
    family : str
        Name of the family, such as ``"AT"``.
    sizes : tuple of int
        Sizes, such as ``(2048, 1024)``.

    Raises
    ------
    ValueError
        If the name is not a family followed by valid sizes.

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
    facts = read_family(family)
    if len(numbers) > facts.most_sizes:
        most = "one size" if facts.most_sizes == 1 else f"at most {facts.most_sizes} sizes"
        raise ValueError(f"{family} takes {most}")
    # Python refuses to convert strings of thousands of digits.
    largest = facts.largest_size
    if any(len(number) > len(str(largest)) or int(number) > largest for number in numbers):
        raise ValueError(f"sizes of {family} are at most {largest}")
    return family, tuple(int(number) for number in numbers)


def _find_wrong_fact(facts: Any) -> str | None:
    """Describe what is wrong with facts, if anything is."""
    if not isinstance(facts, dict):
        return f"is {facts!r}, expected a dictionary"
    names = [each.name for each in fields(Family)]
    for name, value in facts.items():
        if name not in names:
            return f"names {name!r}, expected one of {', '.join(names)}"
        if name == "attention" and value not in (None, *COVERED):
            return f"has attention {value!r}, expected one of {', '.join(COVERED)}"
        if name == "controls" and not (isinstance(value, dict) and {*value} <= {*list_families()}):
            return f"has controls {value!r}, expected families and how each differs"
        if name.endswith(("sizes", "size")) and not (type(value) is int and value > 0):
            return f"has {name} {value!r}, expected a whole number from 1 on"
    return None
