"""Compute the features of musicnn, a network trained to tag the Million Song Dataset.

The architecture is published in J. Pons and X. Serra, "musicnn: Pre-trained Convolutional
Neural Networks for Music Audio Tagging", late-breaking demo at ISMIR 2019 (arXiv:1909.06654).
`emotrace.features.musicnn_weights` reads the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from emotrace.features.musicnn_weights import FIRST_KERNELS, MIDDLE_KERNELS, read_weights

SAMPLE_RATE = 16_000
FFT_LENGTH = 512
HOP_LENGTH = 256
MEL_BANDS = 96

EPSILON = 1e-3
"""Constant added to the variance; TensorFlow's default for batch normalisation."""


@dataclass(frozen=True)
class Scale:
    """Batch normalisation after training: one factor and one offset per filter."""

    factor: np.ndarray
    summand: np.ndarray

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Normalise values of shape ``(..., filters)``."""
        return values * self.factor + self.summand


@dataclass(frozen=True)
class Layer:
    """A convolution in time, followed by a rectifier and batch normalisation.

    Parameters
    ----------
    kernel : numpy.ndarray, shape (moments, bands, filters)
        Kernel of the convolution.
    bias : numpy.ndarray, shape (filters,)
        Bias of the convolution.
    scale : Scale
        Batch normalisation.
    """

    kernel: np.ndarray
    bias: np.ndarray
    scale: Scale

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Apply the filters at every position on the frequency axis, and keep the maximum response.

        Parameters
        ----------
        values : numpy.ndarray, shape (moments, bands)
            Input of the layer.

        Returns
        -------
        numpy.ndarray, shape (moments, filters)
            Output of the layer.
        """
        length, bands, filters = self.kernel.shape
        padded = np.pad(values, (((length - 1) // 2, length // 2), (0, 0)))
        windows = sliding_window_view(padded, length, axis=0)  # (moments, all bands, length)
        weights = self.kernel.transpose(1, 0, 2).reshape(bands * length, filters)
        heard = np.empty((len(values), bands, length), dtype=np.float32)
        response = np.empty((len(values), filters), dtype=np.float32)
        highest, lowest = np.full_like(response, -np.inf), np.full_like(response, np.inf)
        for band in range(values.shape[1] - bands + 1):
            np.copyto(heard, windows[:, band : band + bands])
            np.matmul(heard.reshape(len(values), -1), weights, out=response)
            np.maximum(highest, response, out=highest)
            np.minimum(lowest, response, out=lowest)
        # A negative factor of the normalisation makes the weakest response the strongest.
        return np.maximum(*map(self._activate, (highest, lowest)))

    def _activate(self, response: np.ndarray) -> np.ndarray:
        return self.scale.apply(np.maximum(response + self.bias, 0))


@dataclass(frozen=True)
class Network:
    """The layers up to the one that musicnn pools over time.

    Parameters
    ----------
    scale : Scale
        Normalisation of the spectrum.
    first : list of Layer
        Two timbral layers and three temporal layers.
    middle : list of Layer
        Layers that combine the first ones.
    """

    scale: Scale
    first: list[Layer]
    middle: list[Layer]

    def apply(self, spectrum: np.ndarray) -> np.ndarray:
        """Compute the features from a log mel spectrum.

        Parameters
        ----------
        spectrum : numpy.ndarray, shape (moments, 96)
            Log mel spectrum; see `compute_spectrum`.

        Returns
        -------
        numpy.ndarray, shape (moments, 753), float32
            408 timbral and 153 temporal features, then three layers of 64.
        """
        normalised = self.scale.apply(spectrum)
        found = np.concatenate([layer.apply(normalised) for layer in self.first], axis=1)
        layers = [self.middle[0].apply(found)]
        for layer in self.middle[1:]:
            layers.append(layer.apply(layers[-1]) + layers[-1])
        return np.concatenate([found, *layers], axis=1)


def compute_spectrum(samples: np.ndarray) -> np.ndarray:
    """Compute the input of musicnn: log10(1 + 10000 m) for the mel spectrum m.

    Parameters
    ----------
    samples : numpy.ndarray, shape (samples,), float32
        Mono samples at 16 kHz.

    Returns
    -------
    numpy.ndarray, shape (moments, 96), float32
        Based on ``librosa.feature.melspectrogram``, with one spectrum every 16 ms.
    """
    from librosa.feature import melspectrogram

    mel = melspectrogram(
        y=samples, sr=SAMPLE_RATE, n_fft=FFT_LENGTH, hop_length=HOP_LENGTH, n_mels=MEL_BANDS
    )
    return np.log10(10_000 * mel.T + 1).astype(np.float32)


@cache
def load_network() -> Network:
    """Read the network from the installed package.

    Raises
    ------
    EmotraceError
        If the package is not installed, or its weights are not the expected ones.
    """
    weights = read_weights()

    def scale(name: str) -> Scale:
        variance = weights[f"{name}/moving_variance"].astype(np.float64)
        factor = weights[f"{name}/gamma"] / np.sqrt(variance + EPSILON)
        summand = weights[f"{name}/beta"] - weights[f"{name}/moving_mean"] * factor
        return Scale(factor.astype(np.float32), summand.astype(np.float32))

    def build(name: str, number: int) -> Layer:
        scaled = scale(f"batch_normalization_{number}")
        return Layer(weights[f"{name}/kernel"], weights[f"{name}/bias"], scaled)

    numbered = enumerate([*FIRST_KERNELS, *MIDDLE_KERNELS], start=1)
    layers = [build(name, number) for number, name in numbered]
    n_first = len(FIRST_KERNELS)
    return Network(scale("batch_normalization"), layers[:n_first], layers[n_first:])
