"""Names that are the same though they are written in different ways."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable


def fold_spelling(name: str) -> str:
    """Return what all ways of writing a name have in common.

    Letters count as equal whether an accent is part of them or follows them, whatever
    their case and width; blanks count once, and characters that nobody sees not at all
    (close to compatibility caseless matching, The Unicode Standard, section 3.13, D146).
    """
    visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    folded = unicodedata.normalize("NFKC", visible).casefold()
    # Folding the case may take a letter apart again.
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def unify_spellings(names: Iterable[str]) -> list[str]:
    """Write each name in the way that is most frequent among those that are the same.

    Names of which nothing can be seen become "".
    """
    names = list(names)
    rarest_first = sorted(Counter(names).items(), key=lambda item: (item[1], item[0]))
    frequent = {fold_spelling(name): name for name, _ in rarest_first} | {"": ""}
    return [frequent[fold_spelling(name)] for name in names]
