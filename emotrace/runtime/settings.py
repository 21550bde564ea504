"""Settings as plain dataclasses, for environments that lack what checks a config."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(default: Any, *, description: str, **bounds: float) -> Any:
    """Declare a field of a dataclass that is a block of the config.

    Parameters
    ----------
    default : object
    description : str
        What it does; ``config.yaml`` and ``--help`` show it.
    **bounds : float
        ``ge``, ``gt``, ``le`` and ``lt``, as of `pydantic.Field`.
    """
    return field(default=default, metadata={"description": description, **bounds})
