"""Clips that are left out, as every ``excluded.csv`` lists them, and when they are too many."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from emotrace.checksums import REMAKE, DamagedError
from emotrace.errors import EmotraceError

COLUMNS = ["clip_id", "path", "reason"]


def tabulate_excluded(rows: Iterable[tuple[str, str, str]]) -> pd.DataFrame:
    """Tabulate clips that are left out: ``clip_id``, ``path``, ``reason``."""
    return pd.DataFrame(list(rows), columns=COLUMNS, dtype="str")


def read_excluded(path: str | Path) -> pd.DataFrame:
    """Read a table of clips that are left out.

    Raises
    ------
    DamagedError
        If a row is not whole, since then it is not known how many they are.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
    except (ValueError, csv.Error):
        header, rows = [], []
    if header != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise DamagedError(
            f"{path}: is damaged, or was changed by something other than emotrace: not every "
            f"row has {', '.join(COLUMNS)}",
            hint=REMAKE,
        )
    return tabulate_excluded(map(tuple, rows))


def refuse_excess(excluded: pd.DataFrame, n_clips: int, max_excluded: float) -> None:
    """Stop if more clips are broken than the config tolerates.

    Raises
    ------
    EmotraceError
        Listing every excluded clip and its reason.
    """
    # Divided, and not max_excluded * n_clips: 0.29 * 100 is less than 29.
    if len(excluded) < n_clips and len(excluded) / n_clips <= max_excluded:
        return
    if len(excluded) == n_clips:
        summary = f"none of the {n_clips} clips can be used:"
        hint = "mend them, or look whether the corpus block of the config names the right folder"
    else:
        summary = (
            f"{len(excluded)} of {n_clips} clips cannot be used, more than "
            f"corpus.max_excluded = {max_excluded:g} tolerates:"
        )
        hint = "mend or remove them, or raise corpus.max_excluded to leave them out"
    lines = [f"  {row.clip_id} ({row.path}): {row.reason}" for row in excluded.itertuples()]
    raise EmotraceError("\n".join([summary, *lines]), hint=hint)
