"""Labels of the two parts of a corpus with a split; imports no large libraries."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from emotrace.runtime.errors import EmotraceError
from emotrace.splits.spelling import fold_spelling

if TYPE_CHECKING:
    from emotrace.corpora.text_table import TextTable

SPLITS = ("development", "evaluation")
"""Parts that the protocol ``official`` uses for training and for testing."""

OTHER_WORDS = {"dev": "development", "train": "development", "val": "development"}
OTHER_WORDS |= {"eval": "evaluation", "test": "evaluation"}
"""Beginnings of labels that others use for the same parts. The validation set is drawn from
the development clips."""

MOST_SHOWN = 5
"""Largest number of labels that an error names."""


def check_split_labels(table: TextTable) -> None:
    """Check that the column ``split`` of a table holds only `SPLITS` and "".

    Clips with any other label would be used neither for training nor for testing.

    Raises
    ------
    EmotraceError
        If there are other labels. The error names each label, the first line that holds it,
        and what it may stand for.
    """
    lines: dict[str, list[int]] = {}
    for line, label in zip(table.lines, table.columns.get("split", ()), strict=False):
        if label and label not in SPLITS:
            lines.setdefault(label, []).append(line)
    if not lines:
        return
    told = [_describe_label(label, found) for label, found in lines.items()]
    if len(told) > MOST_SHOWN:
        told[MOST_SHOWN:] = [f"  and {len(told) - MOST_SHOWN} labels more"]
    expected = f"expected {', '.join(SPLITS)} or nothing, found"
    raise EmotraceError(
        "\n".join([f"{table.path}, column 'split': {expected}", *told]),
        hint="models learn from development clips and are tested on evaluation clips; leave the "
        "cell empty where a clip is neither",
    )


def _describe_label(label: str, lines: list[int]) -> str:
    more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    folded = fold_spelling(label)
    meant = [split for word, split in OTHER_WORDS.items() if folded.startswith(word)]
    meant += get_close_matches(folded, SPLITS, n=1)
    return f"  line {lines[0]}{more}: {label!r}" + (f"; did you mean {meant[0]}?" if meant else "")
