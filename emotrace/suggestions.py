"""What was meant where a name is misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from emotrace.models import list_families


def suggest(name: str, valid: Iterable[str]) -> str:
    """Say which valid name is nearest, or which ones there are."""
    valid = [str(option) for option in valid]
    nearest = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if nearest:
        return f"did you mean {nearest[0]}?"
    listed = ", ".join(valid[:12]) + (", ..." if len(valid) > 12 else "")
    return f"valid are: {listed}"


def list_models_like(name: str) -> list[str]:
    """Give the sizes of a misspelt name, or usual ones, to every family."""
    _, *sizes = name.split("_")
    sizes = [size for size in sizes if size.isdigit() and int(size) > 0]
    return ["_".join([family, *(sizes or ["1"])]) for family in list_families()]
