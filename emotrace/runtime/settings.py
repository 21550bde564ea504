"""Settings as plain dataclasses, for environments without pydantic."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(default: Any, *, description: str, **bounds: float) -> Any:
    """Declare a field of a dataclass from which a block of the config is made.

    Parameters
    ----------
    default : object
        Default value.
    description : str
        Description that ``config.yaml`` and ``--help`` show.
    **bounds : float
        ``ge``, ``gt``, ``le`` and ``lt``, as in `pydantic.Field`.
    """
    return field(default=default, metadata={"description": description, **bounds})
