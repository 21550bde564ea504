"""The frames of single clips, kept in the store as Parquet files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emotrace.features.clip import ClipFrames, Request
from emotrace.features.recipe import list_code
from emotrace.reruns.recipe import Recipe
from emotrace.reruns.store import Store


@dataclass(frozen=True)
class KeptFrames:
    """The frames of clips that a store keeps for one feature set.

    Parameters
    ----------
    store : Store
    recipe : Recipe
        See `emotrace.features.recipe.write_recipe`.
    """

    store: Store
    recipe: Recipe

    def locate(self, request: Request) -> Path:
        """Name the entry of a clip; two clips with the same audio and offset share it."""
        audio = f"{request.sha256} {request.offset_s:.6f}"
        return self.store.locate(self.recipe, hashlib.sha256(audio.encode()).hexdigest())

    def read(self, request: Request) -> ClipFrames | None:
        """Return a clip's frames, or None if they are not there or damaged."""
        content = self.store.get(self.locate(request))
        return None if content is None else decode_frames(content)

    def write(self, request: Request, clip: ClipFrames) -> None:
        """Keep a clip's frames.

        Raises
        ------
        EmotraceError
            If this process does not follow the recipe, or the store cannot be written to.
        """
        self.check()
        self.store.put(self.locate(request), encode_frames(clip))

    def check(self) -> None:
        """Check that this process follows the recipe.

        Raises
        ------
        EmotraceError
            Saying what differs.
        """
        self.recipe.check(*list_code(self.recipe.name))


def encode_frames(clip: ClipFrames) -> bytes:
    """Encode a clip's frames."""
    n_features = clip.values.shape[1]
    values = pa.FixedSizeListArray.from_arrays(pa.array(clip.values.ravel()), n_features)
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table({"time_s": clip.times, "values": values}),
        sink,
        compression="zstd",
        use_dictionary=False,
        use_byte_stream_split=["values.list.element"],
        write_statistics=False,
    )
    return sink.getvalue().to_pybytes()


def decode_frames(content: bytes) -> ClipFrames:
    """Decode what `encode_frames` encoded."""
    table = pq.read_table(pa.BufferReader(content))
    values = table["values"].combine_chunks().flatten().to_numpy()
    times = table["time_s"].to_numpy().copy()
    return ClipFrames(times, values.reshape(len(times), -1).astype(np.float32, copy=False))
