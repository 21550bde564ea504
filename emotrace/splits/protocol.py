"""How the clips are divided: a block of the config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emotrace.runtime.settings import setting


@dataclass(frozen=True)
class Protocol:
    """Which clips are trained on and which are tested."""

    name: Literal["official", "artist", "paper"] = setting(
        "official",
        description="official: development against evaluation clips; artist: folds with no artist "
        "on both sides; paper: random folds whose tested part also stops the training, as "
        "published (optimistic).",
    )
    folds: int = setting(10, ge=2, le=1000, description="How many folds artist and paper make.")
    validation_fraction: float = setting(
        0.2,
        gt=0,
        lt=0.9,
        description="Share of the training clips, by artists of its own, that stops the training "
        "and selects models (official and artist).",
    )
