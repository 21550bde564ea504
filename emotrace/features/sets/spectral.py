"""``spectral``: chroma, cepstrum, mel spectrum and spectral shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from emotrace.features.sound import Sound

LIBRARIES = ("librosa",)

MFCC_COEFFICIENTS = 20
MEL_BANDS = 128
CONTRAST_BANDS = 7


def column_names() -> list[str]:
    """Return 197 names, ``chroma_stft_C`` to ``zero_crossing_rate``."""
    from emotrace.features.sound import PITCH_CLASSES

    chroma = [f"chroma_{kind}_{name}" for kind in ("stft", "cqt", "cens") for name in PITCH_CLASSES]
    return [
        *chroma,
        *(f"mfcc_{number}" for number in range(MFCC_COEFFICIENTS)),
        "rms",
        *(f"mel_{band}" for band in range(MEL_BANDS)),
        "spectral_centroid",
        "spectral_bandwidth",
        *(f"spectral_contrast_{band}" for band in range(CONTRAST_BANDS)),
        "spectral_flatness",
        "spectral_rolloff",
        "zero_crossing_rate",
    ]


def extract_frames(sound: Sound) -> np.ndarray:
    """Average the librosa features of the same names over each frame.

    Parameters
    ----------
    sound : Sound
        Samples and frames of the clip.

    Returns
    -------
    numpy.ndarray, shape (frames, 197), float32
        Centroid, bandwidth and roll-off in Hz, contrast and MFCC in dB, the mel spectrum as
        power.
    """
    from librosa import feature, power_to_db

    from emotrace.features.sound import BINS_PER_OCTAVE, FFT_LENGTH, HOP_LENGTH

    rate, magnitudes = sound.sample_rate, sound.magnitudes
    mel = feature.melspectrogram(S=magnitudes**2, sr=rate, n_mels=MEL_BANDS)
    frames = {"frame_length": FFT_LENGTH, "hop_length": HOP_LENGTH}
    fine = [
        sound.chroma_stft,
        sound.chroma_cqt,
        feature.chroma_cens(C=sound.constant_q, sr=rate, bins_per_octave=BINS_PER_OCTAVE),
        feature.mfcc(S=power_to_db(mel), sr=rate, n_mfcc=MFCC_COEFFICIENTS),
        feature.rms(y=sound.samples, **frames),
        mel,
        feature.spectral_centroid(S=magnitudes, sr=rate),
        feature.spectral_bandwidth(S=magnitudes, sr=rate),
        feature.spectral_contrast(S=magnitudes, sr=rate, n_bands=CONTRAST_BANDS - 1),
        feature.spectral_flatness(S=magnitudes),
        feature.spectral_rolloff(S=magnitudes, sr=rate),
        feature.zero_crossing_rate(sound.samples, **frames),
    ]
    return sound.average_frames(np.concatenate(fine))
