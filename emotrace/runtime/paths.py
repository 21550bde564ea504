"""Expand paths that users write."""

from __future__ import annotations

from pathlib import Path


def expand_path(path: str) -> Path:
    """Return a path with its ``~`` replaced by the home folder.

    Raises
    ------
    ValueError
        If the path is not valid; the message says why.
    """
    if "\0" in path:
        raise ValueError("a path cannot hold the character NUL")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        user = Path(path).parts[0].removeprefix("~")
        whose = f"the home folder of {user}" if user else "your home folder"
        raise ValueError(f"{whose} is not known; write the path without ~") from None
