"""Downloads that go on where they stopped, are verified, and are unpacked safely."""

from __future__ import annotations

import logging
import os
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from emotrace.errors import EmotraceError

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 30
"""Seconds without a single byte after which a server counts as silent."""


def download_file(url: str, target: Path, *, sha256: str) -> None:
    """Download a file, or go on with a download that stopped, and verify it.

    Bytes are collected in ``<name>.part`` beside the target; only a file with
    the right checksum gets the target's name. Where the target is there already,
    it is verified and nothing is downloaded.

    Parameters
    ----------
    url : str
        HTTP or HTTPS address.
    target : Path
        Where the file shall lie; its folder is made if needed.
    sha256 : str
        Expected checksum, 64 hexadecimal digits.

    Raises
    ------
    EmotraceError
        If the server cannot be reached or refuses; if the connection breaks (the
        part stays); if the downloaded file has another checksum (the part is
        removed); if a file with another checksum lies at the target (it stays,
        since this function did not put it there).
    """
    import pooch

    target = Path(target)
    if target.exists():
        _check_present_file(target, url=url, sha256=sha256)
        return
    pooch.retrieve(
        url,
        known_hash=f"sha256:{sha256}",
        fname=target.name,
        path=target.parent,
        downloader=partial(_download_verified, target=target, sha256=sha256),
    )


def unpack_archive(archive: Path, folder: Path) -> None:
    """Unpack a tar archive, compressed or not, into a new folder.

    The folder appears only when everything is in it.

    Parameters
    ----------
    archive : Path
        A ``.tar.gz`` or another format that `tarfile.open` recognises.
    folder : Path
        Where the archive's content shall lie; absent, or empty.

    Raises
    ------
    EmotraceError
        If the archive is missing, damaged, or holds a member that would be written
        or points outside the folder; if the folder already holds something.
    """
    folder = Path(folder)
    check_vacant(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        # One level deeper, because the temporary folder itself is closed to all other users.
        unpacked = Path(temporary, "unpacked")
        unpacked.mkdir()
        try:
            with tarfile.open(archive) as members:
                members.extractall(unpacked, filter=_filter_member)
        except tarfile.FilterError as error:
            raise EmotraceError(
                f"{archive}: refused, a member would leave the folder ({error})",
                hint="do not trust this archive; fetch it again from its publisher",
            ) from error
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise EmotraceError(
                f"{archive}: cannot be unpacked ({error})",
                hint="see that the disk is not full; delete the archive and fetch it again",
            ) from error
        os.replace(unpacked, folder)


def check_vacant(folder: Path) -> None:
    """Raise `EmotraceError` if a folder to be made is there already and holds something."""
    if folder.exists() and any(folder.iterdir()):
        raise EmotraceError(
            f"{folder}: already holds files, nothing is unpacked over them",
            hint="delete the folder or name another",
        )


def _filter_member(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    # The data filter alone would strip the slash and unpack such a member silently.
    if member.name.startswith("/"):
        raise tarfile.AbsolutePathError(member)
    return tarfile.data_filter(member, folder)


def _check_present_file(target: Path, *, url: str, sha256: str) -> None:
    found = _compute_sha256(target)
    if found != sha256:
        raise EmotraceError(
            f"{target}: is not the file published at {url}: sha256 found {found}, "
            f"expected {sha256}",
            hint="delete or move the file, then run again to download it",
        )


def _download_verified(
    url: str, output_file: str, _pooch: object, *, target: Path, sha256: str
) -> None:
    """Hand pooch a file with the right checksum; its signature is that of a pooch downloader."""
    part = target.with_name(f"{target.name}.part")
    _fetch_rest(url, part, target)
    found = _compute_sha256(part)
    if found != sha256:
        part.unlink()
        raise EmotraceError(
            f"{url}: the downloaded file is not the one expected and was removed: "
            f"sha256 found {found}, expected {sha256}",
            hint="run again to download it from its beginning; if the checksum stays the same, "
            f"the publisher has changed the file: put the original at {target}",
        )
    os.replace(part, output_file)


def _fetch_rest(url: str, part: Path, target: Path) -> None:
    """Append to the part what it still lacks, or begin anew where the server cannot go on."""
    import requests
    from urllib3.exceptions import HTTPError

    held = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={held}-"} if held else {}
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S)
        if response.status_code == requests.codes.requested_range_not_satisfiable and held:
            return  # Nothing lies behind the part's end; the checksum tells whether it is right.
        response.raise_for_status()
    except requests.RequestException as error:
        _raise_unreachable(url, target, error)
    with response:
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {held}-")
        start = held if response.status_code == requests.codes.partial_content and goes_on else 0
        try:
            with open(part, "ab" if start else "wb") as file:
                # Undecoded, because some servers label a .tar.gz as gzip-encoded content.
                body = response.raw.stream(CHUNK_BYTES, decode_content=False)
                for chunk in _show_progress(body, response, name=target.name, start=start):
                    file.write(chunk)
        except (OSError, HTTPError) as error:
            raise EmotraceError(
                f"{url}: the download stopped, {part.stat().st_size if part.exists() else 0} "
                f"bytes lie in {part} ({error})",
                hint="run the same command again, it goes on from there",
            ) from error


def _show_progress(
    chunks: Iterable[bytes], response: requests.Response, *, name: str, start: int
) -> Iterator[bytes]:
    """Pass chunks on; draw a bar on a terminal, write a log line every 10 % elsewhere."""
    from tqdm import tqdm

    total = start + int(response.headers.get("Content-Length", 0))
    done, step = start, max(total // 10, CHUNK_BYTES)
    next_line = (done // step + 1) * step
    with tqdm(
        desc=name,
        initial=start,
        total=total or None,
        unit="B",
        unit_scale=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            bar.update(len(chunk))
            if bar.disable and done >= next_line:
                logger.info("%s: %.1f of %.1f MB", name, done / 1e6, total / 1e6)
                next_line = (done // step + 1) * step


def _raise_unreachable(url: str, target: Path, error: Exception) -> NoReturn:
    raise EmotraceError(
        f"{url}: cannot be downloaded ({error})",
        hint=f"fetch the file by other means, put it at {target} and run again; or set corpus.path "
        "in the config to a folder that holds clips*/ID.mp3 and annotations/*.csv",
    ) from error


def _compute_sha256(path: Path) -> str:
    import pooch

    return pooch.file_hash(str(path), alg="sha256")
