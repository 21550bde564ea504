"""Inspect audio files, and keep the results in the store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from emotrace.corpora.inspection import Inspection, inspect_content, read_content
from emotrace.corpora.recipe import CODE
from emotrace.reruns.recipe import Recipe
from emotrace.reruns.store import Store


def inspect_audio(path: str, store: Store, recipe: Recipe) -> Inspection:
    """Inspect a file, or return the stored result if the same bytes were inspected before.

    Parameters
    ----------
    path : str
        Path of the audio file.
    store : Store
        Store that keeps inspections.
    recipe : Recipe
        Recipe of inspections; see `emotrace.corpora.recipe.write_recipe`.
    """
    content = read_content(path)
    if isinstance(content, Inspection):
        return content
    entry = store.locate(recipe, hashlib.sha256(content).hexdigest())
    kept = store.get(entry)
    if kept is not None:
        return Inspection(**json.loads(kept))
    inspected = inspect_content(path, content)
    recipe.check(CODE)
    store.put(entry, json.dumps(asdict(inspected)).encode())
    return inspected
