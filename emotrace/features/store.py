"""The frames of single clips, kept in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emotrace.features.clip import ClipFrames, Request
from emotrace.features.identity import list_code
from emotrace.reruns.checksums import DamagedError, open_table, seal_table
from emotrace.reruns.code import check_code, check_versions
from emotrace.reruns.store import digest_identity, write_file


class FeatureStore:
    """The entries of one feature set: one Parquet file per audio file and offset.

    Parameters
    ----------
    root : Path
        Folder of the store.
    identity : mapping
        See `emotrace.features.identity.identify_feature_set`.
    """

    def __init__(self, root: Path, identity: Mapping[str, Any]) -> None:
        self.folder = root / "features" / identity["feature_set"] / digest_identity(identity)
        self.identity = json.dumps(identity, sort_keys=True)
        self.feature_set, self.code = identity["feature_set"], identity["code"]
        self.libraries = tuple(identity["libraries"].items())

    def locate(self, request: Request) -> Path:
        """Name the entry of a clip; two clips with the same audio share it."""
        name = f"{request.sha256}_{request.offset_s:.6f}.parquet"
        return self.folder / request.sha256[:2] / name

    def check_makers(self) -> None:
        """Refuse what this process computes if its code or a library is not the identity's.

        Raises
        ------
        EmotraceError
            Saying what differs.
        """
        check_code(self.code, self.feature_set, *list_code(self.feature_set))
        check_versions(self.feature_set, *self.libraries)

    def write(self, request: Request, clip: ClipFrames) -> None:
        """Keep a clip's frames.

        Raises
        ------
        EmotraceError
            If the code or a library that computed them is not the identity's, or the
            store cannot be written to.
        """
        self.check_makers()
        n_features = clip.values.shape[1]
        values = pa.FixedSizeListArray.from_arrays(pa.array(clip.values.ravel()), n_features)
        table = pa.table({"time_s": clip.times, "values": values})
        path = self.locate(request)
        with write_file(path) as unfinished:
            pq.write_table(
                table.replace_schema_metadata(self._describe(path)),
                unfinished,
                compression="zstd",
                use_dictionary=False,
                use_byte_stream_split=["values.list.element"],
                write_statistics=False,
            )
            seal_table(unfinished)

    def read(self, request: Request) -> ClipFrames | None:
        """Return a clip's frames, or None if they are not there, damaged, or another's."""
        path = self.locate(request)
        try:
            table = open_table(path).read()
            values = table["values"].combine_chunks().flatten().to_numpy()
            times = table["time_s"].to_numpy().copy()
            clip = ClipFrames(times, values.reshape(len(times), -1).astype(np.float32, copy=False))
        except (OSError, DamagedError):
            return None
        return clip if table.schema.metadata == self._describe(path) else None

    def _describe(self, path: Path) -> dict[bytes, bytes]:
        about = {"identity": self.identity, "entry": path.stem}
        return {key.encode(): value.encode() for key, value in about.items()}
