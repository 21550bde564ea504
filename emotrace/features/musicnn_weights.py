"""Read the weights of musicnn from its package, which is installed only for them.

The package's own code is not used, because it needs TensorFlow and numpy versions of 2019.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np

from emotrace.runtime.errors import EmotraceError

FILE = "musicnn/MSD_musicnn/.data-00000-of-00001"
SHA256 = "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6"
HINT = "pip install --no-deps --requirement envs/weights.txt"

TIMBRAL = 204
TEMPORAL = 51
MIDDLE = 64

FIRST_KERNELS = {
    "conv2d": (7, 38, TIMBRAL),
    "conv2d_1": (7, 67, TIMBRAL),
    "conv2d_2": (128, 1, TEMPORAL),
    "conv2d_3": (64, 1, TEMPORAL),
    "conv2d_4": (32, 1, TEMPORAL),
}
MIDDLE_KERNELS = {
    "conv2d_5": (7, 2 * TIMBRAL + 3 * TEMPORAL, MIDDLE),
    "conv2d_6": (7, MIDDLE, MIDDLE),
    "conv2d_7": (7, MIDDLE, MIDDLE),
}
"""Numbers of moments, bands and filters of each convolution, under TensorFlow's names."""

NORMALISED = (1, *2 * [TIMBRAL], *3 * [TEMPORAL], *3 * [MIDDLE], 1506, 200)
"""Number of values of each batch normalisation; the last two belong to the tagging layers."""


def read_weights() -> dict[str, np.ndarray]:
    """Read the weights that the network needs.

    Returns
    -------
    dict
        Arrays by name, such as ``conv2d/kernel``, (moments, bands, filters), and
        ``batch_normalization_1/gamma``, (filters,).

    Raises
    ------
    EmotraceError
        If the package is not installed, or its weights are not the expected ones.
    """
    stored = _read_file()
    tensors, start = {}, 0
    # TensorFlow stores float32 values without gaps, in the order of the names.
    for name, shape in sorted(_list_tensors()):
        size = math.prod(shape)
        tensors[name] = np.frombuffer(stored, np.float32, size, 4 * start).reshape(shape)
        start += size
    return tensors


def _read_file() -> bytes:
    try:
        file = Path(metadata.distribution("musicnn").locate_file(FILE))
        stored = file.read_bytes()
    except (metadata.PackageNotFoundError, FileNotFoundError):
        raise EmotraceError("the weights of musicnn are not installed", hint=HINT) from None
    if hashlib.sha256(stored).hexdigest() != SHA256:
        raise EmotraceError(f"{file}: holds other weights than musicnn 0.1.0", hint=HINT)
    return stored


def _list_tensors() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the names and shapes of the tensors in the file, up to the last convolution."""
    yield from (("beta1_power", (1,)), ("beta2_power", (1,)))
    for name, shape in (FIRST_KERNELS | MIDDLE_KERNELS).items():
        yield from _list_trained(f"{name}/bias", shape[-1:])
        yield from _list_trained(f"{name}/kernel", shape)
    for number, size in enumerate(NORMALISED):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        yield from _list_trained(f"{name}/beta", (size,))
        yield from _list_trained(f"{name}/gamma", (size,))
        yield from ((f"{name}/moving_mean", (size,)), (f"{name}/moving_variance", (size,)))


def _list_trained(name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    # The optimizer stores two moments of each weight.
    yield from ((f"{name}{kind}", shape) for kind in ("", "/Adam", "/Adam_1"))
