"""Digests of files and tables."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def digest_files(*files: str | Path) -> str:
    """Digest the bytes of files, in the given order."""
    digest = hashlib.sha256()
    for name in files:
        with open(name, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def digest_tables(*tables: pa.Table | pd.DataFrame) -> str:
    """Digest the names, types and values of tables, regardless of their encoding in a file."""
    import pyarrow as pa

    digest = hashlib.sha256()
    for table in tables:
        if not isinstance(table, pa.Table):
            table = pa.Table.from_pandas(table, preserve_index=False)
        sink = pa.BufferOutputStream()
        plain = table.combine_chunks().replace_schema_metadata(None)
        with pa.ipc.new_stream(sink, plain.schema) as writer:
            writer.write_table(plain)
        digest.update(sink.getvalue())
    return digest.hexdigest()
