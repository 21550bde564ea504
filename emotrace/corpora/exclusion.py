"""Read and write tables of excluded clips (``excluded.csv``), and limit their number."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from emotrace.reruns.checksums import REMAKE, DamagedError
from emotrace.runtime.errors import EmotraceError

COLUMNS = ["clip_id", "path", "reason"]

MOST_NAMED = 5
"""Number of clips that a message names for each reason."""

NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")
"""Pattern of the numbers in which reasons of the same kind may differ."""


def tabulate_excluded(rows: Iterable[tuple[str, str, str]]) -> pd.DataFrame:
    """Make a table of excluded clips with the columns ``clip_id``, ``path``, ``reason``."""
    return pd.DataFrame(list(rows), columns=COLUMNS, dtype="str")


def read_excluded(path: str | Path) -> pd.DataFrame:
    """Read a table of excluded clips.

    Raises
    ------
    DamagedError
        If a row is incomplete, since the number of clips is then uncertain.
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


def check_excess(
    excluded: pd.DataFrame, n_clips: int, max_excluded: float, *, hint: str | None = None
) -> None:
    """Raise an error if more clips are broken than the config allows.

    Parameters
    ----------
    excluded : pandas.DataFrame
        Excluded clips, as returned by `tabulate_excluded`.
    n_clips : int
        Number of clips of the corpus.
    max_excluded : float
        Largest share of the clips that may be excluded.
    hint : str, optional
        Hint for the user, if the cause is known more precisely.

    Raises
    ------
    EmotraceError
        If too many clips are excluded. The error counts the clips for each kind of reason and
        names the first ones.
    """
    # Do not compare with max_excluded * n_clips, since 0.29 * 100 is less than 29.
    if len(excluded) < n_clips and len(excluded) / n_clips <= max_excluded:
        return
    if len(excluded) == n_clips:
        summary = f"none of the {n_clips} clips can be used:"
        usual = "mend them, or check that the corpus block of the config names the right files"
    else:
        summary = (
            f"{len(excluded)} of {n_clips} clips cannot be used, more than "
            f"corpus.max_excluded = {max_excluded:g} tolerates:"
        )
        usual = "mend or remove them, or raise corpus.max_excluded to leave them out"
    raise EmotraceError("\n".join([summary, *_group_reasons(excluded)]), hint=hint or usual)


def _group_reasons(excluded: pd.DataFrame) -> Iterator[str]:
    kinds = excluded["reason"].str.replace(NUMBER, "#", regex=True)
    for _, group in excluded.groupby(kinds, sort=False):
        clips = [f"{row.clip_id} ({row.path})" for row in group.itertuples()]
        reason = group["reason"].iloc[0]
        if len(clips) == 1:
            yield f"  {clips[0]}: {reason}"
            continue
        of_first = "" if group["reason"].nunique() == 1 else f", to take {group.iloc[0].clip_id}"
        yield f"  {len(clips)} clips{of_first}: {reason}"
        yield from (f"    {clip}" for clip in clips[:MOST_NAMED])
        if len(clips) > MOST_NAMED:
            yield f"    and {len(clips) - MOST_NAMED} more, which the job's log names"
