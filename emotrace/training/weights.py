"""Write weights in the safetensors format, without the library of that name.

A file consists of eight bytes with the length of the header; the header, which is JSON with the
type, shape and position of each array; and the bytes of the arrays, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

TYPES = {"<f4": "F32", "|b1": "BOOL"}
"""Types of weights: numpy's names, and those of the format."""


def pack_arrays(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Pack arrays as a safetensors file; equal arrays give equal bytes, whatever their order.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        Arrays of float32 or bool, of any shape.
    metadata : mapping of str to str
        Information about the arrays for readers.

    Returns
    -------
    bytes
        Content of the file.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    buffers = []
    end = 0
    # Widest values first, so that each array begins at a multiple of the size of its values.
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        start, end = end, end + array.nbytes
        header[name] = {
            "dtype": TYPES[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        buffers.append(array.tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *buffers])
