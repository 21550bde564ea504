from __future__ import annotations

import hashlib
import io
import logging
import os
import socket
import tarfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from emotrace.corpora import download
from emotrace.corpora.download import download_file, unpack_archive
from emotrace.corpora.emomusic import Corpus
from emotrace.runtime.errors import EmotraceError

BODY = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Server:
    """A file server whose connections break when told to, and which notes what it did."""

    url: str = ""
    body: bytes = BODY
    break_after: int | None = None
    knows_ranges: bool = True
    status: int = 200
    length: str | None = ""
    """What it announces instead of the body's length; nothing at all if None."""
    headers: dict[str, str] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    authorisations: list[str | None] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.ranges.append(asked)
            state.authorisations.append(self.headers["Authorization"])
            if state.status != 200:
                self.send_error(state.status)
                return
            start = int(asked[len("bytes=") : -1]) if asked and state.knows_ranges else 0
            rest = state.body[start:]
            if start and not rest:
                state.sent.append(0)
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                last = len(state.body) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(state.body)}")
            if state.length is not None:
                self.send_header("Content-Length", state.length or str(len(rest)))
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()
            rest = rest[: state.break_after]
            self.wfile.write(rest)
            state.sent.append(len(rest))

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}/clips.tar.gz"
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "clips.tar.gz"


def list_folder(path: Path) -> list[str]:
    return sorted(os.listdir(path.parent))


def test_download_is_complete_and_not_repeated(
    server: Server, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="emotrace")
    download_file(server.url, target, sha256=SHA256)
    download_file(server.url, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert server.ranges == [None]
    assert list_folder(target) == ["clips.tar.gz"]
    assert 9 <= len(caplog.messages) <= 11
    assert caplog.messages[-1] == "clips.tar.gz: 1.0 of 1.0 MB"


def test_broken_download_goes_on_where_it_stopped(server: Server, target: Path) -> None:
    server.break_after = 600_000
    with pytest.raises(EmotraceError, match="bytes lie in .*clips.tar.gz.part") as stopped:
        download_file(server.url, target, sha256=SHA256)
    part = target.with_name("clips.tar.gz.part")
    held = part.stat().st_size
    assert 500_000 < held <= 600_000
    assert f"{held} bytes" in str(stopped.value)
    assert "run the same command again" in str(stopped.value)
    assert list_folder(target) == ["clips.tar.gz.part"]

    server.break_after = None
    download_file(server.url, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={held}-"]
    assert server.sent[1] == len(BODY) - held
    assert list_folder(target) == ["clips.tar.gz"]


def place_part(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True)
    target.with_name("clips.tar.gz.part").write_bytes(content)


def test_a_download_starts_again_if_the_server_has_no_ranges(server: Server, target: Path) -> None:
    server.knows_ranges = False
    place_part(target, BODY[:1000])
    download_file(server.url, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert server.ranges == ["bytes=1000-"]


def test_complete_part_is_accepted(server: Server, target: Path) -> None:
    place_part(target, BODY)
    download_file(server.url, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert server.sent == [0]


@pytest.mark.parametrize("part", [BODY + b"too long", b"other bytes"])
def test_unfitting_part_is_removed(server: Server, target: Path, part: bytes) -> None:
    place_part(target, part)
    with pytest.raises(EmotraceError, match="sha256 found .* expected") as refused:
        download_file(server.url, target, sha256=SHA256)
    assert server.url in str(refused.value)
    assert list_folder(target) == []


def test_wrong_checksum_is_named(server: Server, target: Path) -> None:
    server.body = b"another file"
    with pytest.raises(EmotraceError) as refused:
        download_file(server.url, target, sha256=SHA256)
    for part in (server.url, SHA256, hashlib.sha256(b"another file").hexdigest(), "hint: "):
        assert part in str(refused.value)
    assert list_folder(target) == []


def test_wrong_file_at_target_is_reported_and_kept(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"put here by the user")
    with pytest.raises(EmotraceError, match=f"expected {SHA256}"):
        download_file(server.url, target, sha256=SHA256)
    assert target.read_bytes() == b"put here by the user"
    assert server.ranges == []


def test_archive_labelled_as_encoded_content_stays_as_it_is(server: Server, target: Path) -> None:
    server.headers = {"Content-Encoding": "x-gzip"}
    download_file(server.url, target, sha256=SHA256)
    assert target.read_bytes() == BODY


def test_unreachable_server_names_another_way(target: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/clips.tar.gz"
        with pytest.raises(EmotraceError, match="cannot be downloaded") as refused:
            download_file(url, target, sha256=SHA256)
    for part in (url, f"put it at {target}", "corpus.path"):
        assert part in str(refused.value)


def test_http_error_names_status(server: Server, target: Path) -> None:
    server.status = 503
    with pytest.raises(EmotraceError, match="cannot be downloaded .*503"):
        download_file(server.url, target, sha256=SHA256)
    assert list_folder(target) == []


@pytest.mark.parametrize("length", ["many", "9" * 5000, "-1", None])
def test_a_length_that_is_no_number_is_not_believed(
    server: Server, target: Path, length: str | None
) -> None:
    server.length = length
    download_file(server.url, target, sha256=SHA256)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_larger_than_any_archive_is_not_kept(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    monkeypatch.setattr(download, "MOST_BYTES", 500_000, raising=False)
    server.length = "" if announced else None
    with pytest.raises(EmotraceError, match="sends more than 0 MB, .*\nhint: "):
        download_file(server.url, target, sha256=SHA256)
    assert list_folder(target) == []


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_part_that_is_a_link_is_not_written_through(
    server: Server, target: Path, link: Callable[[Path, Path], None]
) -> None:
    target.parent.mkdir()
    precious = target.parent.parent / "precious"
    precious.write_bytes(b"mine")
    link(precious, target.with_name("clips.tar.gz.part"))
    with pytest.raises(EmotraceError, match="clips.tar.gz.part: is a link .*\nhint: remove it"):
        download_file(server.url, target, sha256=SHA256)
    assert precious.read_bytes() == b"mine"
    assert server.ranges == []


def test_a_target_that_is_a_link_to_nothing_becomes_the_file(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.symlink_to(target.parent.parent / "elsewhere")
    download_file(server.url, target, sha256=SHA256)
    assert not target.is_symlink()
    assert target.read_bytes() == BODY
    assert not (target.parent.parent / "elsewhere").exists()


def test_a_target_that_is_a_folder_is_named(server: Server, target: Path) -> None:
    target.mkdir(parents=True)
    with pytest.raises(EmotraceError, match="clips.tar.gz: is not a file.*\nhint: delete"):
        download_file(server.url, target, sha256=SHA256)


@pytest.mark.parametrize("status", [200, 404])
def test_a_password_is_shown_to_the_server_alone(
    server: Server,
    target: Path,
    status: int,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.status, server.body = status, b"another file"
    url = server.url.replace("://", "://me:s3cret@")
    with pytest.raises(EmotraceError) as refused:
        download_file(url, target, sha256=SHA256)
    assert server.authorisations == [f"Basic {b64encode(b'me:s3cret').decode()}"]
    assert server.url.replace("://", "://***@") in str(refused.value)
    for told in (str(refused.value), caplog.text, *capsys.readouterr()):
        assert "s3cret" not in told


def test_a_password_is_no_param_which_snakemake_would_note() -> None:
    corpus = Corpus(url="https://me:s3cret@host/emomusic/")
    assert corpus.server == "https://***@host/emomusic/"
    assert "s3cret" not in str([corpus.table_settings, corpus.audio_settings])


def make_archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make_link(
    target: str, name: str = "clips/link", kind: bytes = tarfile.SYMTYPE
) -> tarfile.TarInfo:
    link = tarfile.TarInfo(name)
    link.type = kind
    link.linkname = target
    return link


def make_member(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo("clips/2.mp3")
    member.type = kind
    return member


def test_archive_is_unpacked(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a.tar.gz", (tarfile.TarInfo("clips/1.mp3"), b"sound"))
    unpack_archive(archive, tmp_path / "new" / "corpus")
    assert (tmp_path / "new/corpus/clips/1.mp3").read_bytes() == b"sound"
    assert os.listdir(tmp_path / "new") == ["corpus"]
    with pytest.raises(EmotraceError, match="already holds files"):
        unpack_archive(archive, tmp_path / "new" / "corpus")


@pytest.mark.parametrize(
    "evil",
    [
        lambda folder: tarfile.TarInfo("../evil"),
        lambda folder: tarfile.TarInfo(str(folder / "evil")),
        lambda folder: make_link("../../evil"),
        lambda folder: make_link(str(folder / "evil")),
        lambda folder: tarfile.TarInfo("clips/../1.mp3"),
        lambda folder: make_link("1.mp3"),
        lambda folder: make_link("clips/1.mp3", kind=tarfile.LNKTYPE),
        lambda folder: make_member(tarfile.FIFOTYPE),
        lambda folder: make_member(tarfile.CHRTYPE),
    ],
    ids=[
        "parent",
        "absolute",
        "link to parent",
        "absolute link",
        "parent inside",
        "link inside",
        "hard link",
        "pipe",
        "device",
    ],
)
def test_malicious_archive_is_refused(
    tmp_path: Path, evil: Callable[[Path], tarfile.TarInfo]
) -> None:
    good = tarfile.TarInfo("clips/1.mp3")
    archive = make_archive(tmp_path / "a.tar.gz", (good, b"sound"), (evil(tmp_path), b""))
    with pytest.raises(EmotraceError, match="refused, a member would leave the folder"):
        unpack_archive(archive, tmp_path / "corpus")
    assert os.listdir(tmp_path) == ["a.tar.gz"]


def deceive_realpath(victim: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """List members that lead to a file outside by a path too long for `os.path.realpath`.

    As in CVE-2025-4517, of which Python knew nothing until 3.11.13, 3.12.11 and 3.13.4.
    """
    folder, names, long = "", "abcdefghijklmnop", "d" * 247
    for name in names:
        member = tarfile.TarInfo(f"{folder}{long}")
        member.type = tarfile.DIRTYPE
        yield member, b""
        yield make_link(long, f"{folder}{name}"), b""
        folder += f"{long}/"
    up = f"{'/'.join(names)}/{'l' * 254}"
    yield make_link("../" * len(names), up), b""
    yield make_link(f"{up}/../../{victim}", "escape"), b""
    yield make_link("escape", "same", tarfile.LNKTYPE), b""
    yield tarfile.TarInfo("same"), b"evil"


def test_an_archive_that_deceives_the_filter_of_python_writes_nothing_outside(
    tmp_path: Path,
) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    archive = make_archive(tmp_path / "a.tar.gz", *deceive_realpath("victim"))
    with pytest.raises(EmotraceError, match="refused, a member would leave the folder"):
        unpack_archive(archive, tmp_path / "corpus")
    assert (tmp_path / "victim").read_bytes() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["a.tar.gz", "victim"]


@pytest.mark.parametrize(("most_bytes", "most_members"), [(10**6, 9), (10**9, 2)])
def test_an_archive_that_would_fill_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_bytes: int, most_members: int
) -> None:
    monkeypatch.setattr(download, "MOST_BYTES", most_bytes, raising=False)
    monkeypatch.setattr(download, "MOST_MEMBERS", most_members, raising=False)
    members = [(tarfile.TarInfo(f"{number}"), bytes(400_000)) for number in range(3)]
    archive = make_archive(tmp_path / "a.tar.gz", *members)
    assert archive.stat().st_size < 10_000
    with pytest.raises(EmotraceError, match="refused, it holds more than .*\nhint: "):
        unpack_archive(archive, tmp_path / "corpus")
    assert os.listdir(tmp_path) == ["a.tar.gz"]


@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda _: b"junk"])
def test_damaged_archive_leaves_nothing(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    noise = (tarfile.TarInfo("clips/1.mp3"), os.urandom(50_000))
    archive = make_archive(tmp_path / "a.tar.gz", noise)
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(EmotraceError, match="a.tar.gz: cannot be unpacked"):
        unpack_archive(archive, tmp_path / "corpus")
    assert os.listdir(tmp_path) == ["a.tar.gz"]
