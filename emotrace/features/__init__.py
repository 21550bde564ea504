"""Feature sets: their names, their computation and their extraction."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType


def list_feature_sets() -> list[str]:
    """Return the names of all feature sets, which are the files in ``sets/``."""
    files = (Path(__file__).parent / "sets").glob("[a-z]*.py")
    return sorted(file.stem for file in files)


def load_feature_set(name: str) -> ModuleType:
    """Import the module of a feature set; see `emotrace.features.sets`.

    Examples
    --------
    >>> columns = load_feature_set("chroma").column_names()
    >>> len(columns), columns[0], columns[-1]
    (24, 'chroma_stft_C', 'chroma_cqt_B')
    """
    return importlib.import_module(f"emotrace.features.sets.{name}")
