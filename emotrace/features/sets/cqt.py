"""``cqt``: constant-Q magnitudes, 7 octaves of 36 bins from C1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from emotrace.features.sound import Sound

LIBRARIES = ("librosa",)


def column_names() -> list[str]:
    """Return ``cqt_C1``, ``cqt_C1+33``, ``cqt_C1+67``, ... (cents above the note)."""
    from emotrace.features.sound import BINS_PER_OCTAVE, OCTAVES, PITCH_CLASSES

    bins_per_note = BINS_PER_OCTAVE // len(PITCH_CLASSES)
    cents = [f"+{round(100 * part / bins_per_note)}" for part in range(bins_per_note)]
    cents[0] = ""
    return [
        f"cqt_{name}{octave}{above}"
        for octave in range(1, OCTAVES + 1)
        for name in PITCH_CLASSES
        for above in cents
    ]


def extract_frames(sound: Sound) -> np.ndarray:
    """Average the magnitudes over each frame.

    Parameters
    ----------
    sound : Sound
        Samples and frames of the clip.

    Returns
    -------
    numpy.ndarray, shape (frames, 252), float32
        Values from ``librosa.cqt``, not negative.
    """
    return sound.average_frames(sound.constant_q)
