"""Recipe of a feature set; imports no large libraries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emotrace.reruns.code import ROOT, digest_code, read_constant
from emotrace.reruns.recipe import Recipe, find_versions
from emotrace.runtime.errors import EmotraceError


def write_recipe(feature_set: str, frames: Mapping[str, float]) -> Recipe:
    """Return the recipe of a feature set: everything except the audio that determines its values.

    The recipe does not include what only moves data, such as the workers and the tables.

    Parameters
    ----------
    feature_set : str
        Name of the feature set.
    frames : mapping
        ``window_s`` and ``hop_s``.
    """
    files = ("emotrace/audio/decoding.py", _name_file(feature_set))
    libraries = {name for file in files for name in _read_libraries(file)}
    return Recipe(
        kind="features",
        name=feature_set,
        settings=dict(frames),
        code=digest_code(*list_code(feature_set)),
        libraries=find_versions(*sorted(libraries)),
    )


def list_code(feature_set: str) -> tuple[str, str]:
    """Return the files that, with all their imports, compute a feature set."""
    return "emotrace/features/clip.py", _name_file(feature_set)


def _name_file(feature_set: str) -> str:
    return f"emotrace/features/sets/{feature_set}.py"


def _read_libraries(name: str) -> tuple[str, ...]:
    """Read ``LIBRARIES`` from a module's source, without importing these libraries."""
    file = Path(ROOT, name)
    libraries = read_constant(file, "LIBRARIES")
    # Without its comma, ("librosa") is a string and not a tuple.
    if isinstance(libraries, tuple):
        return libraries
    raise EmotraceError(
        f"{file}: does not say which LIBRARIES decide its values",
        hint='write a line such as LIBRARIES = ("librosa",), with the comma',
    )
