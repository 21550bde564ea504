from __future__ import annotations

import hashlib
import io
import logging
import os
import socket
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from emotrace.corpus.download import download_file, unpack_archive
from emotrace.errors import EmotraceError

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
    headers: dict[str, str] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.ranges.append(asked)
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
            self.send_header("Content-Length", str(len(rest)))
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


def test_server_without_ranges_begins_anew(server: Server, target: Path) -> None:
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


def make_archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make_link(target: str) -> tarfile.TarInfo:
    link = tarfile.TarInfo("clips/link")
    link.type = tarfile.SYMTYPE
    link.linkname = target
    return link


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
    ],
    ids=["parent", "absolute", "link to parent", "absolute link"],
)
def test_malicious_archive_is_refused(
    tmp_path: Path, evil: Callable[[Path], tarfile.TarInfo]
) -> None:
    good = tarfile.TarInfo("clips/1.mp3")
    archive = make_archive(tmp_path / "a.tar.gz", (good, b"sound"), (evil(tmp_path), b""))
    with pytest.raises(EmotraceError, match="refused, a member would leave the folder"):
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
