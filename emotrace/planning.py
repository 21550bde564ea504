"""Questions that the workflow asks while it plans; imports nothing heavy."""

from __future__ import annotations

import ast

from emotrace.config import Config, suggest
from emotrace.corpus import list_clip_ids
from emotrace.errors import EmotraceError
from emotrace.provenance import ROOT, find_versions


def refuse_unknown_clips(settings: Config) -> None:
    """Refuse a clip to draw that the corpus does not have, where that can be known yet.

    Raises
    ------
    EmotraceError
        Naming every such clip and the nearest id.
    """
    if not settings.figures.clips:
        return
    known = list_clip_ids(settings.corpus.model_dump(mode="json"))
    if known is None:
        return
    lines = [
        f"  figures.clips: {clip_id!r} is no clip of the corpus {settings.corpus.name}; "
        f"{suggest(clip_id, known)}"
        for clip_id in settings.figures.clips
        if clip_id not in set(known)
    ]
    if lines:
        raise EmotraceError(
            "\n".join(["the config is not valid:", *lines]),
            hint="figures.clips: [] lets emotrace choose",
        )


def find_feature_libraries(feature_set: str) -> dict[str, str]:
    """Return the versions of the libraries that decide a feature set's values.

    The set's ``LIBRARIES`` are read from its source, because importing it would
    import them.
    """
    file = ROOT / "emotrace" / "features" / "sets" / f"{feature_set}.py"
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LIBRARIES":
            return find_versions(*ast.literal_eval(node.value))
    raise EmotraceError(
        f"{file}: does not say which LIBRARIES decide its values",
        hint='add a line such as LIBRARIES = ("librosa",)',
    )
