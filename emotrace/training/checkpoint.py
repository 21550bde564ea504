"""A fit under way, kept so that a killed job goes on where it was."""

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
"""Seconds after which the end of an epoch is kept: what a killed job may lose, or one epoch."""


class Checkpoint:
    """The file in which one fit keeps its state.

    Parameters
    ----------
    path : Path
        Named after everything that decides the fit, so that no other fit takes it for its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.saved = time.monotonic()

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Return the last state, on the device, or None if there is none that fits.

        On another kind of device or with another torch the fit would go on
        otherwise than it began, so it begins anew.
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
            logger.warning("%s cannot be read, so the fit begins anew: %s", self.path, reason)
            return None
        return state if maker == _name_maker(device) else None

    def is_due(self) -> bool:
        """Tell whether the last state is long ago."""
        return time.monotonic() - self.saved >= INTERVAL_S

    def save(self, state: dict[str, Any], device: torch.device) -> None:
        """Replace the last state.

        Raises
        ------
        EmotraceError
            If the store cannot be written to.
        """
        # torch does not tell a full disk from other mishaps; a plain write does.
        written = io.BytesIO()
        torch.save({"made_by": _name_maker(device), "state": state}, written)
        with write_file(self.path) as unfinished:
            write_bytes(written.getbuffer(), unfinished)
        self.saved = time.monotonic()

    def remove(self) -> None:
        """Forget the state of a fit that is finished."""
        self.path.unlink(missing_ok=True)


def _name_maker(device: torch.device) -> list[str]:
    return [device.type, str(torch.__version__)]
