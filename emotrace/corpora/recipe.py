"""The recipe by which audio files are inspected; imports nothing heavy."""

from __future__ import annotations

from emotrace.reruns.code import digest_code
from emotrace.reruns.recipe import Recipe, find_versions

CODE = "emotrace/corpora/inspection.py"


def write_recipe() -> Recipe:
    """Write the recipe by which audio files are inspected."""
    return Recipe("inspections", "audio", {}, digest_code(CODE), find_versions("av"))
