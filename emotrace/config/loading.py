"""Read a config, and describe in words everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import (
    ValidationError,
)

from emotrace.config.block import Settings
from emotrace.config.corpora import CORPORA
from emotrace.config.schema import (
    Config,
    EvaluationSettings,
    FeatureOverride,
    FeatureSettings,
    FigureSettings,
    ProtocolSettings,
    RunBlock,
    TrainingSettings,
)
from emotrace.config.suggestions import shorten, suggest
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.workers import check_scheduler

MOST_MISTAKES = 20
"""Largest number of mistakes that a message lists; further ones are only counted."""


def load_config(raw: Mapping[str, Any]) -> Config:
    """Check a config and fill in the defaults.

    Parameters
    ----------
    raw : mapping
        Content of the config, as read from YAML.

    Returns
    -------
    Config
        Config with all settings.

    Raises
    ------
    EmotraceError
        If a key is wrong. The error names every such key, its value and the nearest valid one.

    Examples
    --------
    >>> run = {"feature_sets": ["chroma"], "models": ["LSTM_64", "AT_64"]}
    >>> tables = {"feature_set": "chroma", "baseline": "LSTM_64"}
    >>> config = load_config({"runs": [run], "evaluation": tables})
    >>> config.list_runs()
    [('chroma', 'LSTM_64'), ('chroma', 'AT_64')]
    >>> config.frames_of("chroma")
    {'window_s': 0.5, 'hop_s': 0.5}
    """
    try:
        settings = Config.model_validate(raw)
    except ValidationError as error:
        raise _list_mistakes([_describe(detail) for detail in error.errors()]) from None
    check_scheduler(settings.dask_cluster, network_is_trusted=settings.dask_network_is_trusted)
    return settings


def check_blocks(overlay: Mapping[str, Any]) -> None:
    """Check that no block of the config is set to ``{}``, since Snakemake would keep the default.

    Parameters
    ----------
    overlay : mapping
        Values from ``--configfile`` and ``--config``, before ``config.yaml`` is read.

    Raises
    ------
    EmotraceError
        If there are such blocks; the error names their keys.
    """
    keys = list(_find_empty_blocks(overlay, Config().model_dump()))
    if keys:
        raise _list_mistakes([f"  {key}: cannot be empty (value {{}})" for key in keys])


def _find_empty_blocks(overlay: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    for key, default in defaults.items():
        value = overlay.get(key)
        if isinstance(default, Mapping) and isinstance(value, Mapping):
            yield from (f"{key}.{below}" for below in _find_empty_blocks(value, default))
        elif value == {}:
            yield key


def _list_mistakes(lines: Sequence[str]) -> EmotraceError:
    shown = list(lines[:MOST_MISTAKES])
    if len(lines) > MOST_MISTAKES:
        shown.append(f"  and {len(lines) - MOST_MISTAKES} more mistakes")
    return EmotraceError(
        "\n".join(["the config is not valid:", *shown]), hint="config.yaml explains every key"
    )


BLOCKS: dict[str, type[Settings]] = {
    **CORPORA,
    "features": FeatureSettings,
    "features.overrides": FeatureOverride,
    "runs": RunBlock,
    "protocol": ProtocolSettings,
    "training": TrainingSettings,
    "overrides": TrainingSettings,
    "evaluation": EvaluationSettings,
    "figures": FigureSettings,
}
"""Block of each key, and of each kind of corpus."""


WORDS = {
    "dict_type": "expected a block of keys",
    "int_parsing_size": "expected a smaller number",
    "model_attributes_type": "expected a block of keys",
    "model_type": "expected a block of keys",
}
"""Explanations of some of pydantic's errors, by type."""


def _describe(detail: Mapping[str, Any]) -> str:
    path = list(detail["loc"])
    if path[:1] == ["corpus"]:
        kind = path.pop(1) if len(path) > 1 else "corpus"
    elif path[:2] == ["features", "overrides"] and len(path) > 2:
        kind = "features.overrides"
    else:
        kind = path[0] if len(path) > 1 else ""
    context = detail.get("ctx", {})
    path += context.get("below", [])
    key = ".".join(shorten(str(part))[1:-1] for part in path)
    found = shorten(detail["input"])
    if detail["type"] == "extra_forbidden":
        valid = BLOCKS[kind].model_fields if kind in BLOCKS else Config.model_fields
        return f"  {key}: no such key (value {found}); {suggest(str(path[-1]), valid)}"
    if detail["type"] == "union_tag_invalid":
        tag = context["tag"]
        return f"  {key}.name: {shorten(tag)} is not a corpus; {suggest(tag, CORPORA)}"
    if detail["type"] in ("unknown", "repeated"):
        return f"  {key}: {detail['msg']}"
    if detail["type"] == "string_type" and isinstance(detail["input"], int | float | date):
        return f"  {key}: YAML takes this for {found}; put it in quotation marks"
    message = WORDS.get(detail["type"], context.get("error", detail["msg"]))
    return f"  {key}: {message} (value {found})"
