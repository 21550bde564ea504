"""Weights are written as the safetensors library reads them, and always alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load

from emotrace.training.weights import pack_arrays

METADATA = {"emotrace": '{"model": "AT_4"}', "título": "três"}


def make_arrays() -> dict[str, np.ndarray]:
    """Make up arrays of all types and of shapes that are easily mistaken."""
    random = np.random.default_rng(0)
    return {
        "a mask of odd length": np.array([True, False, True]),
        "matrix": random.normal(size=(3, 2)).astype(np.float32),
        "transposed": random.normal(size=(2, 5)).astype(np.float32).T,
        "scalar": np.float32(7).reshape(()),
        "empty": np.zeros((0, 4), dtype=np.float32),
        "zweiter.größer": np.array([np.nan, -np.inf, 1e-42], dtype=np.float32),
    }


def test_the_safetensors_library_reads_what_is_packed(tmp_path: Path) -> None:
    arrays = make_arrays()
    packed = pack_arrays(arrays, METADATA)
    read = load(packed)
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array, err_msg=name, strict=True)
    (tmp_path / "file.safetensors").write_bytes(packed)
    with safe_open(tmp_path / "file.safetensors", framework="np") as file:
        assert file.metadata() == METADATA


def test_the_same_arrays_give_the_same_bytes_in_whatever_order() -> None:
    arrays = make_arrays()
    turned = {name: arrays[name].copy(order="C") for name in reversed(arrays)}
    assert pack_arrays(arrays, METADATA) == pack_arrays(turned, METADATA)


def test_values_lie_at_multiples_of_their_width() -> None:
    arrays = {"a": np.array([True]), "b": np.array([1, 2], dtype=np.float32)}
    packed = pack_arrays(arrays, {"length": "odd"})
    assert packed.index(arrays["b"].tobytes()) % 4 == 0
