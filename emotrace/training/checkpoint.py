"""Save the state of a fit, so that training resumes after a job was killed."""

from __future__ import annotations

import io
import logging
import time
from pathlib import Path
from typing import Any

import torch

from emotrace.reruns.checksums import read_bytes, write_bytes
from emotrace.reruns.store import write_file

logger = logging.getLogger(__name__)

INTERVAL_S = 20.0
"""Seconds after which the state is saved at the end of an epoch. A killed job loses at most this
time, or one epoch."""


class Checkpoint:
    """File that holds the state of one fit.

    Parameters
    ----------
    path : Path
        Path of the file. Its name depends on everything that determines the fit, so no other
        fit can use it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.saved = time.monotonic()

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Return the last state, on the device, or None if there is no suitable state.

        With another kind of device or another version of torch, the fit would not continue as it
        began, so it starts again.
        """
        try:
            content = io.BytesIO(read_bytes(self.path))
            kept = torch.load(content, map_location=device, weights_only=True)
            maker, state = kept["made_by"], kept["state"]
        except FileNotFoundError:
            return None
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0]
            logger.warning("%s cannot be read, so the fit starts again: %s", self.path, reason)
            return None
        return state if maker == _name_maker(device) else None

    def is_due(self) -> bool:
        """Return whether it is time to save the state."""
        return time.monotonic() - self.saved >= INTERVAL_S

    def save(self, state: dict[str, Any], device: torch.device) -> None:
        """Replace the saved state.

        Raises
        ------
        EmotraceError
            If the store cannot be written to.
        """
        # torch raises the same error for a full disk and other failures; a plain write does not.
        written = io.BytesIO()
        torch.save({"made_by": _name_maker(device), "state": state}, written)
        with write_file(self.path) as unfinished:
            write_bytes(written.getbuffer(), unfinished)
        self.saved = time.monotonic()

    def remove(self) -> None:
        """Remove the state after the fit is finished."""
        self.path.unlink(missing_ok=True)


def _name_maker(device: torch.device) -> list[str]:
    return [device.type, str(torch.__version__)]
