"""Download files with resumption and verification, and unpack archives safely."""

from __future__ import annotations

import logging
import lzma
import os
import stat
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from emotrace.runtime.errors import EmotraceError, hide_passwords

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 30
"""Seconds without a single byte after which a download is given up."""

DAMAGED = (zlib.error, lzma.LZMAError)
"""Errors, besides OSError, that archives raise if they cannot be decompressed."""

MOST_BYTES = 10 * 10**9
MOST_MEMBERS = 100_000
"""Limits of a download and of an unpacked archive: several times the largest published one."""


def download_file(url: str, target: Path, *, sha256: str) -> None:
    """Download a file, or resume a download that stopped, and verify its checksum.

    Bytes are collected in ``<name>.part`` beside the target. The file is renamed to the target
    only if its checksum is right. If the target already exists, it is verified and nothing is
    downloaded.

    Parameters
    ----------
    url : str
        HTTP or HTTPS address. A user name and password in it are sent only to the server.
    target : Path
        Path of the downloaded file; its folder is created if necessary.
    sha256 : str
        Expected checksum, 64 hexadecimal digits.

    Raises
    ------
    EmotraceError
        If the server cannot be reached or refuses the request; if the connection breaks (the
        partial file is kept); if the downloaded file has another checksum or is larger than
        `MOST_BYTES` (the partial file is removed); if the target exists and has another checksum
        (it is kept, since this function did not create it); if the partial file is a link.
    """
    import pooch

    target = Path(target)
    if target.exists():
        _check_present_file(target, url=url, sha256=sha256)
        return

    def download(_url: str, output_file: str, _pooch: object) -> None:
        _download_verified(url, output_file, target=target, sha256=sha256)

    pooch.retrieve(
        hide_passwords(url),  # because it prints the address
        known_hash=f"sha256:{sha256}",
        fname=target.name,
        path=target.parent,
        downloader=download,
    )


def unpack_archive(archive: Path, folder: Path) -> None:
    """Unpack a tar archive, compressed or not, into a new folder.

    The folder appears only when it is complete. An archive that could write outside the folder
    or fill the disk is refused, whatever its checksum: one with links of any kind, devices,
    absolute names or ``..``, or with more than `MOST_BYTES` in total.

    Parameters
    ----------
    archive : Path
        A ``.tar.gz`` file, or another format that `tarfile.open` recognises.
    folder : Path
        Folder for the content of the archive; it must be absent or empty.

    Raises
    ------
    EmotraceError
        If the archive is missing, damaged or refused, or if the folder is not empty.
    """
    folder = Path(folder)
    check_vacant(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        # Use a subfolder, because other users cannot access the temporary folder itself.
        unpacked = Path(temporary, "unpacked")
        unpacked.mkdir()
        try:
            with tarfile.open(archive) as members:
                harmless = _refuse_harmful(members, archive)
                members.extractall(unpacked, harmless, filter="data")
        except tarfile.FilterError as error:
            _refuse_archive(archive, f"a member would leave the folder ({error})")
        except (tarfile.TarError, EOFError, OSError, ValueError, *DAMAGED) as error:
            raise EmotraceError(
                f"{archive}: cannot be unpacked ({error})",
                hint="see that the disk is not full; delete the archive and fetch it again",
            ) from error
        os.replace(unpacked, folder)


def check_vacant(folder: Path) -> None:
    """Raise `EmotraceError` if a folder to be created already exists and is not empty."""
    if folder.exists() and any(folder.iterdir()):
        raise EmotraceError(
            f"{folder}: already holds files, nothing is unpacked over them",
            hint="delete the folder or name another",
        )


def _refuse_harmful(members: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive; refuse the archive at the first harmful one."""
    n_bytes = 0
    for number, member in enumerate(members, start=1):
        # Members could be written through links unpacked earlier, which has fooled Python's filter.
        parts = member.name.replace("\\", "/").split("/")
        if not (member.isreg() or member.isdir()) or parts[0] == "" or ".." in parts:
            _refuse_archive(
                archive,
                f"a member would leave the folder ({member.name!r} is not a plain file or folder "
                "in it)",
            )
        n_bytes += member.size
        if n_bytes > MOST_BYTES or number > MOST_MEMBERS:
            _refuse_archive(
                archive, f"it holds more than {MOST_BYTES / 1e6:.0f} MB or {MOST_MEMBERS} files"
            )
        yield member


def _refuse_archive(archive: Path, why: str) -> NoReturn:
    raise EmotraceError(
        f"{archive}: refused, {why}",
        hint="do not trust this archive; fetch it again from its publisher",
    )


def _check_present_file(target: Path, *, url: str, sha256: str) -> None:
    if not target.is_file():
        raise EmotraceError(
            f"{target}: is not a file, but the file published at {url} belongs there",
            hint="delete or move it, then run again to download the file",
        )
    found = _compute_sha256(target)
    if found != sha256:
        raise EmotraceError(
            f"{target}: is not the file published at {url}: sha256 found {found}, "
            f"expected {sha256}",
            hint="delete or move the file, then run again to download it",
        )


def _download_verified(url: str, output_file: str, *, target: Path, sha256: str) -> None:
    """Put a file with the right checksum at the path where pooch expects it."""
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
    """Append the missing bytes to the partial file, or start again if the server cannot resume."""
    import requests
    from urllib3.exceptions import HTTPError

    held = _measure_part(part)
    headers = {"Range": f"bytes={held}-"} if held else {}
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S)
        if response.status_code == requests.codes.requested_range_not_satisfiable and held:
            return  # The partial file is complete; its checksum shows whether it is right.
        response.raise_for_status()
    except requests.RequestException as error:
        _raise_unreachable(url, target, error)
    with response:
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {held}-")
        start = held if response.status_code == requests.codes.partial_content and goes_on else 0
        try:
            with open(part, "ab" if start else "wb", opener=_open_no_link) as file:
                # Do not decode, because some servers label a .tar.gz as gzip-encoded content.
                body = response.raw.stream(CHUNK_BYTES, decode_content=False)
                length = _read_length(response)
                total = start + length if length else 0
                for chunk in _show_progress(body, name=target.name, start=start, total=total):
                    _check_excess(max(file.tell() + len(chunk), total), url, part)
                    file.write(chunk)
        except (OSError, HTTPError) as error:
            raise EmotraceError(
                f"{url}: the download stopped, {part.stat().st_size if part.exists() else 0} "
                f"bytes lie in {part} ({error})",
                hint="run the same command again, it goes on from there",
            ) from error


def _measure_part(part: Path) -> int:
    """Return how many bytes of a download already exist."""
    try:
        found = part.lstat()
    except FileNotFoundError:
        return 0
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise EmotraceError(
            f"{part}: is a link or not a regular file, so the download is not written there",
            hint="remove it, then run again",
        )
    return found.st_size


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _read_length(response: requests.Response) -> int:
    """Return the number of bytes that a server announces, or 0 if it announces none."""
    try:
        return max(0, int(response.headers.get("Content-Length", "")))
    except ValueError:
        return 0


def _check_excess(n_bytes: int, url: str, part: Path) -> None:
    if n_bytes > MOST_BYTES:
        part.unlink()
        raise EmotraceError(
            f"{url}: sends more than {MOST_BYTES / 1e6:.0f} MB, so it is not the expected file",
            hint="see in a browser what lies at this address",
        )


def _show_progress(
    chunks: Iterable[bytes], *, name: str, start: int, total: int
) -> Iterator[bytes]:
    """Pass chunks on; show a progress bar in a terminal, or a log line every 10 % elsewhere."""
    from tqdm import tqdm

    done, step = start, max(total // 10, CHUNK_BYTES) if total else MOST_BYTES // 100
    in_all = f" of {total / 1e6:.1f}" if total else ""
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
                logger.info("%s: %.1f%s MB", name, done / 1e6, in_all)
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
