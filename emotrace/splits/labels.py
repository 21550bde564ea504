"""The two parts that a corpus may come divided into; imports nothing heavy."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from emotrace.runtime.errors import EmotraceError
from emotrace.splits.spelling import fold_spelling

if TYPE_CHECKING:
    from emotrace.corpora.text_table import TextTable

SPLITS = ("development", "evaluation")
"""What the protocol ``official`` trains on, and what it tests."""

OTHER_WORDS = {"dev": "development", "train": "development", "val": "development"}
OTHER_WORDS |= {"eval": "evaluation", "test": "evaluation"}
"""How labels begin that others give to the same parts. The validation part is drawn from the
development clips."""

MOST_SHOWN = 5
"""Labels that an error names."""


def check_split_labels(table: TextTable) -> None:
    """Refuse a table whose column ``split`` holds anything else than `SPLITS` and "".

    Clips with such a label would be neither trained on nor tested.

    Raises
    ------
    EmotraceError
        Naming each label, the first line that holds it, and what it may stand for.
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
