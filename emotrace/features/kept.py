"""Keep the frames of single clips in the store, as Parquet files."""

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
        Store that keeps the frames.
    recipe : Recipe
        Recipe of the feature set; see `emotrace.features.recipe.write_recipe`.
    """

    store: Store
    recipe: Recipe

    def locate(self, request: Request) -> Path:
        """Return the path of a clip's entry; two clips with the same audio and offset share one."""
        audio = f"{request.sha256} {request.offset_s:.6f}"
        return self.store.locate(self.recipe, hashlib.sha256(audio.encode()).hexdigest())

    def read(self, request: Request) -> ClipFrames | None:
        """Return the frames of a clip, or None if they are missing or damaged."""
        content = self.store.get(self.locate(request))
        return None if content is None else decode_frames(content)

    def write(self, request: Request, clip: ClipFrames) -> None:
        """Store the frames of a clip.

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
            If the code or a library differs; the error says which.
        """
        self.recipe.check(*list_code(self.recipe.name))


def encode_frames(clip: ClipFrames) -> bytes:
    """Encode the frames of a clip as bytes."""
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
    """Decode frames that `encode_frames` encoded."""
    table = pq.read_table(pa.BufferReader(content))
    values = table["values"].combine_chunks().flatten().to_numpy()
    times = table["time_s"].to_numpy().copy()
    return ClipFrames(times, values.reshape(len(times), -1).astype(np.float32, copy=False))
