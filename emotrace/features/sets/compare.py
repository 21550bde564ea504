"""``compare``: the 6373 functionals of openSMILE's ComParE 2016 set."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import opensmile

    from emotrace.features.sound import Sound

LIBRARIES = ("opensmile",)

LAST_WINDOW_S = 0.1
"""Seconds of silence after the last window; without them, openSMILE omits that window."""

LARGEST = 32767 / 32768
"""Largest 16-bit sample."""


def column_names() -> list[str]:
    """Return openSMILE's own feature names, in its order."""
    return list(_functionals(window_s=0.5, hop_s=0.5).feature_names)


def extract_frames(sound: Sound) -> np.ndarray:
    """Compute the functionals of all frames in one pass over the clip.

    Samples beyond full scale are clipped, as in a 16-bit file.

    Parameters
    ----------
    sound : Sound
        Samples and frames of the clip.

    Returns
    -------
    numpy.ndarray, shape (frames, 6373), float32
    """
    grid = sound.grid
    needed_s = (sound.n_frames - 1) * grid.hop_s + grid.window_s + LAST_WINDOW_S
    padding = max(0, round(needed_s * sound.sample_rate) - len(sound.samples))
    padded = np.pad(sound.samples, (0, padding))
    smile = _functionals(window_s=grid.window_s, hop_s=grid.hop_s)
    # openSMILE converts to 16-bit integers, so values beyond full scale would wrap around.
    bounded = np.clip(padded, -1, LARGEST)
    table = smile.process_signal(bounded, sound.sample_rate)
    return table.to_numpy(np.float32)[: sound.n_frames]


@cache
def _functionals(*, window_s: float, hop_s: float) -> opensmile.Smile:
    import opensmile

    with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False) as config:
        config.write(
            "frameMode = fixed\n"
            f"frameSize = {window_s}\n"
            f"frameStep = {hop_s}\n"
            "frameCenterSpecial = left\n"
        )
    # openSMILE reads the configuration file again for every signal.
    atexit.register(Path(config.name).unlink, missing_ok=True)
    return opensmile.Smile(
        opensmile.FeatureSet.ComParE_2016,
        opensmile.FeatureLevel.Functionals,
        options={"frameModeFunctionalsConf": config.name},
    )
