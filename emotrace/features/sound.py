"""Samples of a clip on the frame grid, with the analyses that feature sets share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emotrace.audio.frames import FrameGrid

HOP_LENGTH = 512
"""Samples between consecutive fine frames; librosa's default, 11.6 ms at 44.1 kHz."""

FFT_LENGTH = 2048
"""Samples per spectrum; librosa's default."""

BINS_PER_OCTAVE = 36
OCTAVES = 7
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass
class Sound:
    """Mono samples that begin where the first frame begins.

    Spectra are computed on first use and then kept, so that a feature set made of many
    librosa features computes each spectrum only once.

    Parameters
    ----------
    samples : numpy.ndarray, shape (samples,), float32
        Mono audio; frame 0 starts at sample 0.
    sample_rate : int
        Sample rate in Hz.
    n_frames : int
        Number of frames to describe.
    grid : FrameGrid
        Window and hop of the frames.
    """

    samples: np.ndarray
    sample_rate: int
    n_frames: int
    grid: FrameGrid

    @cached_property
    def magnitudes(self) -> np.ndarray:
        """Short-time Fourier magnitudes, (1025, fine frames)."""
        import librosa

        return np.abs(librosa.stft(self.samples, n_fft=FFT_LENGTH, hop_length=HOP_LENGTH))

    @cached_property
    def constant_q(self) -> np.ndarray:
        """Constant-Q magnitudes; see `compute_constant_q`."""
        return compute_constant_q(self.samples, self.sample_rate)

    @cached_property
    def chroma_stft(self) -> np.ndarray:
        """``librosa.feature.chroma_stft`` of the shared spectrum, (12, fine frames)."""
        import librosa

        return librosa.feature.chroma_stft(
            S=self.magnitudes**2, sr=self.sample_rate, n_fft=FFT_LENGTH, hop_length=HOP_LENGTH
        )

    @cached_property
    def chroma_cqt(self) -> np.ndarray:
        """Chromagram of the shared constant-Q spectrum; see `compute_chroma_cqt`."""
        return compute_chroma_cqt(self.constant_q, self.sample_rate)

    def average_frames(self, fine: np.ndarray, *, step_s: float | None = None) -> np.ndarray:
        """Average fine-grained values over the window of each frame.

        Parameters
        ----------
        fine : numpy.ndarray, shape (features, fine frames)
            Value i belongs to the time ``i * step_s``.
        step_s : float, optional
            Seconds between consecutive values; by default, the duration of `HOP_LENGTH` samples.

        Returns
        -------
        numpy.ndarray, shape (frames, features), float32
        """
        times = np.arange(fine.shape[1]) * (step_s or HOP_LENGTH / self.sample_rate)
        starts = np.arange(self.n_frames) * self.grid.hop_s
        first = np.searchsorted(times, starts)
        last = np.searchsorted(times, starts + self.grid.window_s)
        totals = np.cumsum(fine, axis=1, dtype=np.float64)
        totals = np.concatenate([np.zeros((len(fine), 1)), totals], axis=1)
        means = (totals[:, last] - totals[:, first]) / (last - first)
        return means.T.astype(np.float32)


def compute_constant_q(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Compute constant-Q magnitudes from C1, 7 octaves of 36 bins, (252, fine frames).

    The tuning is concert pitch (``tuning=0``), so that a bin is the same pitch in every clip.
    """
    import librosa

    spectrum = librosa.cqt(
        samples,
        sr=sample_rate,
        hop_length=HOP_LENGTH,
        n_bins=BINS_PER_OCTAVE * OCTAVES,
        bins_per_octave=BINS_PER_OCTAVE,
    )
    return np.abs(spectrum)


def compute_chroma_cqt(constant_q: np.ndarray, sample_rate: int) -> np.ndarray:
    """Compute ``librosa.feature.chroma_cqt`` of constant-Q magnitudes, (12, fine frames)."""
    import librosa

    return librosa.feature.chroma_cqt(C=constant_q, sr=sample_rate, bins_per_octave=BINS_PER_OCTAVE)
