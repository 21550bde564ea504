"""What decides the values of a feature set: its settings, its code, and the libraries it calls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotrace.reruns.code import ROOT, digest_code, find_versions, read_constant
from emotrace.runtime.errors import EmotraceError


def identify_feature_set(feature_set: str, frames: Mapping[str, float]) -> dict[str, Any]:
    """Name everything but the audio that decides a feature set's values.

    Two equal identities give equal features of equal audio. What only moves
    clips about, such as the workers and the tables, is no part of it.

    Parameters
    ----------
    feature_set : str
        Name of the set.
    frames : mapping
        ``window_s`` and ``hop_s``.

    Returns
    -------
    dict
        ``feature_set``, ``frames``, ``code`` (a digest) and ``libraries`` (versions).
    """
    return {
        "feature_set": feature_set,
        "frames": dict(frames),
        "code": digest_code(*list_code(feature_set)),
        "libraries": find_libraries(feature_set),
    }


def list_code(feature_set: str) -> tuple[str, str]:
    """Name the files that, with all they import, compute a feature set."""
    return "emotrace/features/clip.py", _name_file(feature_set)


def find_libraries(feature_set: str) -> dict[str, str]:
    """Return the versions of the libraries that read audio and that a feature set calls."""
    names = {
        *_read_libraries("emotrace/audio/decoding.py"),
        *_read_libraries(_name_file(feature_set)),
    }
    return find_versions(*sorted(names))


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
