"""The one exception that a user is meant to read."""

from __future__ import annotations

import re

CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")
"""What stands before the host in ``http://USER:PASSWORD@HOST/``."""


class EmotraceError(Exception):
    """Something that the user can mend: a file, a clip, a config key.

    Passwords in addresses are left out of what it says.

    Parameters
    ----------
    message : str
        Names the file, clip or config key, what was found and what was expected.
    hint : str, optional
        What to do about it; printed on a line of its own.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        told = message if hint is None else f"{message}\nhint: {hint}"
        super().__init__(hide_passwords(told))


def hide_passwords(text: str) -> str:
    """Leave out of a text the users and passwords that stand in addresses."""
    return CREDENTIALS.sub("***@", text)
