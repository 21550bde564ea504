"""Recognise different spellings of the same name."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable


def fold_spelling(name: str) -> str:
    """Return a form of a name that is the same for all its spellings.

    Letters are equal whether an accent is part of them or follows them, whatever their case
    and width. Repeated blanks count once, and invisible characters do not count (close to
    compatibility caseless matching, The Unicode Standard, section 3.13, D146).
    """
    visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    folded = unicodedata.normalize("NFKC", visible).casefold()
    # Case folding may decompose a letter again.
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def unify_spellings(names: Iterable[str]) -> list[str]:
    """Replace each name by the most frequent of its spellings.

    Names without visible characters become "".
    """
    names = list(names)
    rarest_first = sorted(Counter(names).items(), key=lambda item: (item[1], item[0]))
    frequent = {fold_spelling(name): name for name, _ in rarest_first} | {"": ""}
    return [frequent[fold_spelling(name)] for name in names]
