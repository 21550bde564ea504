"""Music that tests make up: files of noise, and the tables that describe a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

RATE = 44_100
"""Samples per second of all that is written here."""


def make_noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Draw uniform noise of half of full scale, float32."""
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE))
    return noise.astype(np.float32)


def write_noise(path: Path, seconds: float, seed: int) -> Path:
    """Write noise as WAV with 16 bits, whatever the file is called."""
    soundfile.write(path, make_noise(seconds, seed), RATE, subtype="PCM_16", format="WAV")
    return path


def write_clips(folder: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Write the table of clips: id, which also names the file, artist and split."""
    clips = [(clip_id, f"{clip_id}.wav", artist, split) for clip_id, artist, split in rows]
    columns = ["clip_id", "path", "artist", "split"]
    pd.DataFrame(clips, columns=columns).to_csv(folder / "clips.csv", index=False)


def write_annotations(folder: Path, rows: Iterable[tuple[str, float, float, float]]) -> None:
    """Write the table of annotations: id, second, arousal and valence."""
    columns = ["clip_id", "time_s", "arousal", "valence"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "annotations.csv", index=False)


def name_manifest(folder: Path, **settings: Any) -> dict[str, Any]:
    """Return the block of the config for the two tables in a folder."""
    paths = {name: str(folder / f"{name}.csv") for name in ("clips", "annotations")}
    return {"name": "manifest", **paths, **settings}
