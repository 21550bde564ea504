"""``chroma``: 12 pitch classes from the Fourier and 12 from the constant-Q spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from emotrace.features.sound import Sound

LIBRARIES = ("librosa",)


def column_names() -> list[str]:
    """Return ``chroma_stft_C`` to ``chroma_cqt_B``."""
    from emotrace.features.sound import PITCH_CLASSES

    return [f"chroma_{kind}_{name}" for kind in ("stft", "cqt") for name in PITCH_CLASSES]


def extract_frames(sound: Sound) -> np.ndarray:
    """Average both chromagrams over each frame.

    Parameters
    ----------
    sound : Sound
        Samples and frames of the clip.

    Returns
    -------
    numpy.ndarray, shape (frames, 24), float32
        Values in [0, 1]; ``librosa.feature.chroma_stft``, then ``chroma_cqt``.
    """
    return sound.average_frames(np.concatenate([sound.chroma_stft, sound.chroma_cqt]))
