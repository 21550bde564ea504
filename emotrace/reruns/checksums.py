"""Read and write files with checksums, so that a damaged file is noticed.

Disks, memory and copies change a bit now and then. Every file that one job writes and
another reads therefore carries a SHA-256 of its own bytes. The functions of this module
write these files, and their counterparts read them and raise `DamagedError` if the bytes
differ. The checksum is stored

- in a Parquet file: in 64 bytes between the columns and the footer. Readers skip these
  bytes, since the footer says where each column lies. The first 32 bytes are a digest of
  everything before them; the last 32 are a digest of the first digest and everything after.
  The second digest alone shows that names, types and metadata are intact, so they can be
  verified without reading the columns.
- in a JSON file: under the key ``checksum``.
- in any other file: in the first line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from emotrace.runtime.errors import EmotraceError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

CHECKSUM = "checksum"
"""Key of a JSON file under which the digest of all other keys is stored."""

REMAKE = (
    "remove it and run the target all, which makes what is missing again; if you copied it from "
    "another machine, copy it again"
)
"""Hint for the user about a damaged file."""

SIZE = hashlib.sha256().digest_size

TAIL = 8
"""Bytes at the end of a Parquet file: the length of the footer and the magic number."""

BLOCK = 2**20
"""Number of bytes that are read and digested at a time."""


class DamagedError(EmotraceError):
    """Raised when a file is not what emotrace wrote."""


def write_table(table: pa.Table | pd.DataFrame, path: str | Path) -> None:
    """Write a table as a Parquet file with checksums.

    Parameters
    ----------
    table : pyarrow.Table or pandas.DataFrame
        The index of a data frame is not written.
    path : str or Path
        Path of the file to write.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not isinstance(table, pa.Table):
        table = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(table, path)
    seal_table(path)


def seal_table(path: str | Path) -> None:
    """Add checksums to a Parquet file that has just been written.

    Any Parquet reader can still read the file.

    Parameters
    ----------
    path : str or Path
        Path of the file, which is changed in place.
    """
    with open(path, "r+b") as file:
        start = _find_footer(file)
        before = _digest_start(file, start)
        footer = file.read()
        file.seek(start)
        file.write(before + hashlib.sha256(before + footer).digest() + footer)


def read_table(path: str | Path, **options: Any) -> pd.DataFrame:
    """Read a Parquet file that `write_table` or `seal_table` wrote, and verify its checksums.

    Parameters
    ----------
    path : str or Path
        Path of the file.
    **options
        Passed to `pyarrow.parquet.read_table`, such as ``columns`` and ``filters``.

    Raises
    ------
    DamagedError
        If the file is not what was written.

    Examples
    --------
    >>> import pandas as pd
    >>> frames = pd.DataFrame({"clip_id": ["a", "b"], "arousal": [0.25, -0.5]})
    >>> write_table(frames, "annotations.parquet")
    >>> read_table("annotations.parquet", filters=[("clip_id", "==", "b")])
      clip_id  arousal
    0       b     -0.5
    """
    import pyarrow.parquet as pq

    with _open_verified(path) as file:
        return pq.read_table(file, **options).to_pandas()


def open_table(path: str | Path) -> pq.ParquetFile:
    """Verify the checksums of a Parquet file and open it, to read it part by part.

    Raises
    ------
    DamagedError
        If the file is not what was written.
    """
    import pyarrow.parquet as pq

    return pq.ParquetFile(_open_verified(path))


def read_schema(path: str | Path) -> pa.Schema:
    """Read the names, types and metadata of a Parquet file, and verify only these.

    Raises
    ------
    DamagedError
        If the names, types or metadata are not what was written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pa.OSFile(str(path)) as file:
        _verify_footer(file, path)
        return pq.read_schema(file)


def write_json(content: Mapping[str, Any], path: str | Path) -> None:
    """Write an object as JSON with a checksum."""
    sealed = {**content, CHECKSUM: _digest_json(content)}
    Path(path).write_text(json.dumps(sealed, indent=2) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a file that `write_json` wrote, and verify its checksum.

    Raises
    ------
    DamagedError
        If the file is not what was written.
    """
    try:
        content = json.loads(Path(path).read_bytes())
        checksum = content.pop(CHECKSUM)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        _refuse(path)
    if checksum != _digest_json(content):
        _refuse(path)
    return content


def write_bytes(content: bytes | memoryview, path: str | Path, *, about: str = "") -> None:
    """Write bytes to a file below a line that holds their checksum.

    Parameters
    ----------
    content : bytes or memoryview
        Bytes to write.
    path : str or Path
        Path of the file to write.
    about : str, optional
        Name of the content. It is part of the checksum, so that the file cannot be mistaken
        for another.
    """
    with open(path, "wb") as file:
        file.write(_digest_bytes(content, about))
        file.write(content)


def read_bytes(path: str | Path, *, about: str = "") -> bytes:
    """Read a file that `write_bytes` wrote, and verify its checksum.

    Raises
    ------
    DamagedError
        If the file is not what was written, or was written with another `about`.
    """
    with open(path, "rb") as file:
        checksum = file.readline(2 * SIZE + 1)
        content = file.read()
    if checksum != _digest_bytes(content, about):
        _refuse(path)
    return content


def _digest_bytes(content: bytes | memoryview, about: str) -> bytes:
    digest = hashlib.sha256(about.encode())
    digest.update(content)
    return digest.hexdigest().encode() + b"\n"


def _open_verified(path: str | Path) -> pa.NativeFile:
    import pyarrow as pa

    # Verify and read through one open file, in case another file takes its name meanwhile.
    file = pa.OSFile(str(path))
    start, expected = _verify_footer(file, path)
    if _digest_start(file, start) != expected:
        _refuse(path)
    file.seek(0)
    return file


def _verify_footer(file: Any, path: str | Path) -> tuple[int, bytes]:
    """Return the byte at which the columns end, and the digest that they should have."""
    start = _find_footer(file) - 2 * SIZE
    if start < 0:
        _refuse(path)
    file.seek(start)
    before, after = file.read(SIZE), file.read(SIZE)
    if hashlib.sha256(before + file.read()).digest() != after:
        _refuse(path)
    file.seek(0)
    return start, before


def _find_footer(file: Any) -> int:
    """Return the byte at which the footer of a Parquet file begins; negative if it has none."""
    size = file.seek(0, os.SEEK_END)
    if size < TAIL:
        return -1
    file.seek(size - TAIL)
    return size - TAIL - int.from_bytes(file.read(4), "little")


def _digest_start(file: Any, size: int) -> bytes:
    digest = hashlib.sha256()
    file.seek(0)
    while size and (block := file.read(min(size, BLOCK))):
        digest.update(block)
        size -= len(block)
    return digest.digest()


def _digest_json(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _refuse(path: str | Path) -> NoReturn:
    raise DamagedError(
        f"{path}: is damaged, or was changed by something other than emotrace: its checksum "
        "does not match what it contains",
        hint=REMAKE,
    )
