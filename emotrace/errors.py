"""The one exception that a user is meant to read."""

from __future__ import annotations


class EmotraceError(Exception):
    """Something that the user can mend: a file, a clip, a config key.

    Parameters
    ----------
    message : str
        Names the file, clip or config key, what was found and what was expected.
    hint : str, optional
        What to do about it; printed on a line of its own.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\nhint: {hint}")
