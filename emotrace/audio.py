"""The one way in which a file becomes samples."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from emotrace.errors import EmotraceError
from emotrace.mp3 import announce_length

LIBRARIES = ("soundfile", "soxr")
"""Whose versions decide the samples: soundfile brings libsndfile along."""

SAMPLE_RATE = 44_100
"""Hz; every feature is computed from audio at this rate, as in the paper."""

LONGEST = 2**40
"""Samples; libsndfile gives more for a FLAC stream of unknown length."""


def decode_audio(content: bytes, path: str | Path) -> tuple[np.ndarray, int, int]:
    """Decode a file's content as it is, whatever its extension says.

    Parameters
    ----------
    content : bytes
        WAV, FLAC, OGG, MP3 or another format that libsndfile reads.
    path : str or Path
        Where it was read from.

    Returns
    -------
    samples : numpy.ndarray, shape (samples, channels), float32
        In [-1, 1] for integer formats.
    sample_rate : int
        In Hz.
    announced : int
        Samples per channel according to the header; it may count an encoder's
        delay in.

    Raises
    ------
    EmotraceError
        If it cannot be decoded.
    """
    import soundfile

    try:
        # From memory, libsndfile looks at the content and not at the extension.
        content = announce_length(content)
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            announced = sound.frames
            if announced > LONGEST:
                raise ValueError("it does not say how long it is")
            # All at once: between blocks, soundfile seeks, and MP3 streams lose their thread.
            return sound.read(dtype="float32", always_2d=True), sound.samplerate, announced
    except (OSError, RuntimeError, ValueError) as error:
        # In full, libsndfile's errors name the object in memory.
        raise _refuse(path, getattr(error, "error_string", None) or error) from error


def read_audio(path: str | Path, *, sha256: str | None = None) -> np.ndarray:
    """Read a file as mono samples at 44.1 kHz.

    Channels are averaged; other rates are resampled with soxr's high quality, as
    ``librosa.resample`` does.

    Parameters
    ----------
    path : str or Path
        Any file that `decode_audio` can decode.
    sha256 : str, optional
        Of the bytes that the file must have.

    Returns
    -------
    numpy.ndarray, shape (samples,), float32

    Raises
    ------
    EmotraceError
        If the file cannot be opened or decoded, or has other bytes.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise _refuse(path, getattr(error, "strerror", None) or error) from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise _refuse(path, "it is not the file that it was")
    samples, sample_rate, _ = decode_audio(content, path)
    mono = samples.mean(axis=1, dtype=np.float32)
    if sample_rate == SAMPLE_RATE:
        return mono

    import soxr

    return soxr.resample(mono, sample_rate, SAMPLE_RATE, quality="HQ")


def _refuse(path: str | Path, reason: object) -> EmotraceError:
    return EmotraceError(
        f"{path}: cannot be read as audio ({reason})",
        hint="convert it to WAV or FLAC, or leave the clip out of the corpus",
    )
