"""The one way in which a file becomes samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emotrace.errors import EmotraceError

SAMPLE_RATE = 44_100
"""Hz; every feature is computed from audio at this rate, as in the paper."""


def decode_audio(path: str | Path) -> tuple[np.ndarray, int, int]:
    """Decode a file as it is, whatever its extension says.

    Parameters
    ----------
    path : str or Path
        WAV, FLAC, OGG, MP3 or another format that libsndfile reads.

    Returns
    -------
    samples : numpy.ndarray, shape (samples, channels), float32
        In [-1, 1] for integer formats.
    sample_rate : int
        In Hz.
    announced : int
        Samples per channel that the file's header announces; more than were
        decoded where the file is truncated.

    Raises
    ------
    EmotraceError
        If the file cannot be opened or decoded.
    """
    import soundfile

    try:
        # Through an open file, libsndfile looks at the content and not at the extension.
        with open(path, "rb") as file, soundfile.SoundFile(file) as sound:
            announced = sound.frames
            return sound.read(dtype="float32", always_2d=True), sound.samplerate, announced
    except (OSError, RuntimeError, ValueError) as error:
        raise EmotraceError(
            f"{path}: cannot be read as audio ({error})",
            hint="convert it to WAV or FLAC, or leave the clip out of the corpus",
        ) from error


def read_audio(path: str | Path) -> np.ndarray:
    """Read a file as mono samples at 44.1 kHz.

    Channels are averaged; other rates are resampled with soxr (``librosa.resample``).

    Parameters
    ----------
    path : str or Path
        Any file that `decode_audio` reads.

    Returns
    -------
    numpy.ndarray, shape (samples,), float32

    Raises
    ------
    EmotraceError
        If the file cannot be opened or decoded.
    """
    samples, sample_rate, _ = decode_audio(path)
    mono = samples.mean(axis=1, dtype=np.float32)
    if sample_rate == SAMPLE_RATE:
        return mono

    import librosa

    return librosa.resample(mono, orig_sr=sample_rate, target_sr=SAMPLE_RATE)
