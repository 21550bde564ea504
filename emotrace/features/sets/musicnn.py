"""``musicnn``: activations of a network that was trained to tag a million songs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from emotrace.features.sound import Sound

LIBRARIES = ("librosa", "musicnn")


def column_names() -> list[str]:
    """Return 753 names, ``timbral_0`` to ``cnn3_63``, after musicnn's layers."""
    from emotrace.features.musicnn_weights import MIDDLE, TEMPORAL, TIMBRAL

    sizes = {
        "timbral": 2 * TIMBRAL,
        "temporal": 3 * TEMPORAL,
        "cnn1": MIDDLE,
        "cnn2": MIDDLE,
        "cnn3": MIDDLE,
    }
    return [f"{layer}_{number}" for layer, size in sizes.items() for number in range(size)]


def extract_frames(sound: Sound) -> np.ndarray:
    """Average musicnn's features over each frame.

    Parameters
    ----------
    sound : Sound
        Samples and frames of the clip.

    Returns
    -------
    numpy.ndarray, shape (frames, 753), float32
        Values that the network pools over time before it tags. Each moment depends on one
        second of sound on either side.
    """
    from librosa import resample

    from emotrace.features import musicnn_network as musicnn

    samples = resample(sound.samples, orig_sr=sound.sample_rate, target_sr=musicnn.SAMPLE_RATE)
    features = musicnn.load_network().apply(musicnn.compute_spectrum(samples))
    step_s = musicnn.HOP_LENGTH / musicnn.SAMPLE_RATE
    return sound.average_frames(features.T, step_s=step_s)
