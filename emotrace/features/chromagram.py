"""Compute chromagrams for figures: the columns that the set `chroma` averages over frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emotrace.audio.decoding import SAMPLE_RATE, read_audio
from emotrace.features.sound import HOP_LENGTH, compute_chroma_cqt, compute_constant_q

COLUMN_S = HOP_LENGTH / SAMPLE_RATE
"""Seconds between consecutive columns."""


def compute_chromagram(path: str | Path) -> np.ndarray:
    """Compute the constant-Q chromagram of an audio file.

    Call `emotrace.features.compilation.compile_functions` for ``chroma`` first.

    Parameters
    ----------
    path : str or Path
        Path of the audio file.

    Returns
    -------
    numpy.ndarray, shape (12, columns)
        Energy of the pitch classes, starting with C, in [0, 1].

    Raises
    ------
    EmotraceError
        If the file cannot be read.
    """
    return compute_chroma_cqt(compute_constant_q(read_audio(path), SAMPLE_RATE), SAMPLE_RATE)
