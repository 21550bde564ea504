"""``chroma_cqt``: the sets `chroma` and `cqt` side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emotrace.features.sets import chroma, cqt

if TYPE_CHECKING:
    from emotrace.features.sound import Sound

LIBRARIES = ("librosa",)


def column_names() -> list[str]:
    """Return the names of `chroma`, then those of `cqt`."""
    return chroma.column_names() + cqt.column_names()


def extract_frames(sound: Sound) -> np.ndarray:
    """Compute both sets from one Fourier and one constant-Q spectrum.

    Parameters
    ----------
    sound : Sound
        Samples and frames of the clip.

    Returns
    -------
    numpy.ndarray, shape (frames, 276), float32
    """
    return np.concatenate([chroma.extract_frames(sound), cqt.extract_frames(sound)], axis=1)
