"""Recipe of a model's fits; imports no large libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emotrace.models.families import parse_model_name
from emotrace.reruns.code import digest_code
from emotrace.reruns.recipe import Recipe, find_versions


def write_recipe(model: str, settings: Mapping[str, Any], *, new_torch_retrains: bool) -> Recipe:
    """Return the recipe of a model's fits, which is the same for all clips, targets and seeds.

    Parameters
    ----------
    model : str
        Name of the model, such as ``"AT_64"``.
    settings : mapping
        Fields of `emotrace.training.settings.TrainingSettings`.
    new_torch_retrains : bool
        Whether the version of torch is part of the recipe.
    """
    return Recipe(
        kind="fits",
        name=model,
        settings=dict(settings),
        code=digest_code(*list_code(model)),
        libraries=find_versions("torch") if new_torch_retrains else {},
    )


def list_code(model: str) -> tuple[str, str]:
    """Return the files that, with all their imports, make a model's fits."""
    family, _ = parse_model_name(model)
    return "emotrace/training/fold.py", f"emotrace/models/{family}.py"
