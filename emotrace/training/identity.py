"""What decides the outcome of a fit besides its clips, target and seed; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emotrace.models.families import parse_model_name
from emotrace.reruns.code import digest_code, find_versions


def identify_model(
    model: str, settings: Mapping[str, Any], *, new_torch_retrains: bool
) -> dict[str, Any]:
    """Name what a model's fits have in common.

    Parameters
    ----------
    model : str
        Such as ``"AT_64"``.
    settings : mapping
        The fields of `emotrace.config.schema.TrainingSettings`.
    new_torch_retrains : bool
        Whether the version of torch counts.

    Returns
    -------
    dict
        ``model``, ``settings``, ``code`` (a digest) and ``libraries`` (versions).
    """
    return {
        "model": model,
        "settings": dict(settings),
        "code": digest_code(*list_code(model)),
        "libraries": find_versions("torch") if new_torch_retrains else {},
    }


def list_code(model: str) -> tuple[str, str]:
    """Name the files that, with all they import, make a model's fits."""
    family, _ = parse_model_name(model)
    return "emotrace/training/fold.py", f"emotrace/models/{family}.py"
