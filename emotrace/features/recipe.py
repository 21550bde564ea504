"""The recipe of a feature set; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emotrace.reruns.code import ROOT, digest_code, read_constant
from emotrace.reruns.recipe import Recipe, find_versions
from emotrace.runtime.errors import EmotraceError


def write_recipe(feature_set: str, frames: Mapping[str, float]) -> Recipe:
    """Write the recipe of a feature set: everything but the audio that decides its values.

    What only moves clips about, such as the workers and the tables, is no part of it.

    Parameters
    ----------
    feature_set : str
        Name of the set.
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
    """Name the files that, with all they import, compute a feature set."""
    return "emotrace/features/clip.py", _name_file(feature_set)


def _name_file(feature_set: str) -> str:
    return f"emotrace/features/sets/{feature_set}.py"


def _read_libraries(name: str) -> tuple[str, ...]:
    """Read ``LIBRARIES`` from a module's source, because importing it would import them."""
    file = Path(ROOT, name)
    libraries = read_constant(file, "LIBRARIES")
    # Without its comma, ("librosa") is a text, and not a tuple of one.
    if isinstance(libraries, tuple):
        return libraries
    raise EmotraceError(
        f"{file}: does not say which LIBRARIES decide its values",
        hint='write a line such as LIBRARIES = ("librosa",), with the comma',
    )
