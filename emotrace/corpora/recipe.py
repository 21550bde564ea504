"""Recipe of the inspection of audio files; imports no large libraries."""

from __future__ import annotations

from emotrace.reruns.code import digest_code
from emotrace.reruns.recipe import Recipe, find_versions

CODE = "emotrace/corpora/inspection.py"


def write_recipe() -> Recipe:
    """Return the recipe for inspecting audio files."""
    return Recipe("inspections", "audio", {}, digest_code(CODE), find_versions("av"))
