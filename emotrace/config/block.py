"""Base class of, and functions for, the blocks of the config."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Annotated, Any, NoReturn, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    create_model,
)
from pydantic_core import PydanticCustomError

from emotrace.config.suggestions import shorten, suggest
from emotrace.runtime.paths import expand_path

Below = Sequence[str | int]
"""Keys that lead from a block to a mistake within it."""


def _check_path(path: str) -> str:
    expand_path(path)
    return path


PathText = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_check_path)]


class Settings(BaseModel):
    """A block of the config; unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def refuse_markup(text: str) -> str:
    """Return the text if the report may show it; otherwise raise ValueError."""
    found = [
        character
        for character in text
        if character in "<>" or unicodedata.category(character) in ("Cc", "Cs")
    ]
    if found:
        # Snakemake's report holds settings in a script element, which </script> would end.
        raise ValueError(f"a text that the report shows cannot hold {found[0]!r}")
    return text


def derive_block(name: str, settings: type[Any]) -> type[Settings]:
    """Make a block of the config from plain settings, which also serve jobs without pydantic."""
    types = get_type_hints(settings)
    return create_model(
        name,
        __base__=Settings,
        __doc__=settings.__doc__,
        **{
            field.name: (types[field.name], Field(field.default, **field.metadata))
            for field in fields(settings)
        },
    )


def refuse_name(below: Below, name: str, valid: Iterable[str], kind: str) -> NoReturn:
    """Raise an error about a name that does not exist, and suggest the nearest valid one."""
    raise make_error(below, f"{shorten(name)} is not a {kind}; {suggest(name, valid)}")


def make_error(below: Below, message: str) -> PydanticCustomError:
    """Return an error with our own message about a key below a block."""
    # Pass the message as a value, because pydantic would interpret braces in a template.
    return PydanticCustomError("unknown", "{message}", {"message": message, "below": list(below)})
