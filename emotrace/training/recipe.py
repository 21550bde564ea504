"""The recipe of a model's fits; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emotrace.models.families import parse_model_name
from emotrace.reruns.code import digest_code
from emotrace.reruns.recipe import Recipe, find_versions


def write_recipe(model: str, settings: Mapping[str, Any], *, new_torch_retrains: bool) -> Recipe:
    """Write the recipe of a model's fits, whatever clips, target and seed they are made with.

    Parameters
    ----------
    model : str
        Such as ``"AT_64"``.
    settings : mapping
        The fields of `emotrace.config.schema.TrainingSettings`.
    new_torch_retrains : bool
        Whether the version of torch counts.
    """
    return Recipe(
        kind="fits",
        name=model,
        settings=dict(settings),
        code=digest_code(*list_code(model)),
        libraries=find_versions("torch") if new_torch_retrains else {},
    )


def list_code(model: str) -> tuple[str, str]:
    """Name the files that, with all they import, make a model's fits."""
    family, _ = parse_model_name(model)
    return "emotrace/training/fold.py", f"emotrace/models/{family}.py"
