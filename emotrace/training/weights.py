"""Weights in the safetensors format, which needs no library of its own to be written.

A file is eight bytes, the header's length; the header, JSON that gives each array's
type, shape and place; and the arrays' bytes, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

TYPES = {"<f4": "F32", "|b1": "BOOL"}
"""numpy's names of the types that weights have, and the format's."""


def pack_arrays(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Pack arrays as a safetensors file; equal arrays give equal bytes, in whatever order.

    Parameters
    ----------
    arrays : mapping of str to numpy.ndarray
        float32 or bool, of any shape.
    metadata : mapping of str to str
        What a reader is told about them.

    Returns
    -------
    bytes
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    buffers = []
    end = 0
    # The widest first, so that each array begins at a multiple of its values' width.
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
