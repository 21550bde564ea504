"""The only exception whose message is meant for users."""

from __future__ import annotations

import re

CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")
"""User and password before the host in ``http://USER:PASSWORD@HOST/``."""


class EmotraceError(Exception):
    """Raised for a problem that the user can solve: in a file, a clip or a config key.

    Passwords in addresses are removed from the message.

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
    """Remove users and passwords from the addresses in a text."""
    return CREDENTIALS.sub("***@", text)
