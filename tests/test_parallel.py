"""Work divided among processes, some of which die."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import psutil
import pytest
from distributed import Client, LocalCluster, get_worker
from distributed.security import Security

from emotrace.config.loading import load_config
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.parallel import map_clips
from emotrace.runtime.workers import SINGLE_THREADED, Workers

pytestmark = pytest.mark.slow

MB = 10**6


def count_threads(_: int) -> list[int]:
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    return [pool["num_threads"] for pool in threadpool_info()]


def test_workers_share_the_cores_and_libraries_inside_them_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in SINGLE_THREADED:
        monkeypatch.setenv(name, "2")  # as Snakemake does for a job of two threads
    counts = list(map_clips(count_threads, [1], label="", workers=Workers(1, 1000)))
    assert counts[0]
    assert set(counts[0]) == {1}


def count_notes(seconds: float) -> int:
    time.sleep(seconds)
    return len(get_worker().profile_history)


def test_workers_take_no_notes_that_fill_their_memory() -> None:
    # Dask's profiler files what it saw once a second.
    counts = list(map_clips(count_notes, [2.5, 0], label="", workers=Workers(1, 1000)))
    assert counts == [0, 0]


def crash(item: tuple[Path, int]) -> int:
    """Note that an item was tried; the number 5 ends its process."""
    folder, number = item
    with open(folder / str(number), "a") as tries:
        tries.write("tried\n")
    time.sleep(0.05)
    if number == 5:
        os.abort()
    return -number


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_crash_excludes_one_clip_and_no_other(n_workers: int, tmp_path: Path) -> None:
    results = list(
        map_clips(
            crash,
            [(tmp_path, number) for number in range(20)],
            label="",
            workers=Workers(n_workers, 1000),
            if_killed=lambda item: item[1],
        )
    )
    assert results == [-number if number != 5 else 5 for number in range(20)]
    tries = {number: (tmp_path / str(number)).read_text().count("tried") for number in range(20)}
    assert tries[5] == 2
    assert max(tries.values()) == 2  # those that waited for the same process


def fill_memory(megabytes: int) -> int:
    filled = bytearray(os.urandom(MB)) * megabytes
    time.sleep(2)  # so that whoever watches sees it
    return len(filled) // MB


def test_a_clip_that_exceeds_its_share_of_memory_is_tried_again_with_all_of_it() -> None:
    """Each of two workers may have 750 MB; alone, one may have 1500."""
    killed = []
    results = map_clips(
        fill_memory,
        [10, 1000, 3000, 20],
        label="",
        workers=Workers(2, 1500),
        if_killed=killed.append,
    )
    assert list(results) == [10, 1000, None, 20]
    assert killed == [3000]


def test_an_unexpected_crash_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmotraceError, match=r"5\): twice the process .* died.*\nhint: "):
        list(map_clips(crash, [(tmp_path, 5)], label="", workers=Workers(1, 1000)))


ATTACK = """
import asyncio, os, sys
from distributed.core import rpc
from distributed.protocol.pickle import dumps
from distributed.security import Security

async def attack(scheme, port, security, handler):
    connection = security.get_connection_args("client")
    target = rpc(f"{scheme}://127.0.0.1:{port}", timeout=1, connection_args=connection)
    call = getattr(target, handler)(function=dumps(os.getpid), args=dumps(()), kwargs=dumps({}))
    try:
        answer = await asyncio.wait_for(call, 2)
    except Exception:
        return None
    return answer and answer["result"]

async def attack_all():
    ways = [("tcp", Security()), ("tls", Security.temporary())]
    handlers = ["run_function", "run"]  # a scheduler's; those of workers and nannies
    results = await asyncio.gather(
        *(
            attack(scheme, port, security, handler)
            for port in sys.argv[1:]
            for scheme, security in ways
            for handler in handlers
        )
    )
    print(*filter(None, results))

asyncio.run(attack_all())
"""
"""Prints the ids of the processes behind some ports in which it ran code, without their key."""


def attack(ports: Iterable[int]) -> set[int]:
    command = [sys.executable, "-c", ATTACK, *map(str, ports)]
    attacked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert attacked.returncode == 0, attacked.stderr
    return set(map(int, attacked.stdout.split()))


def list_ports() -> list[int]:
    """List the ports on which this process and those that it started listen."""
    return [
        connection.laddr.port
        for process in (psutil.Process(), *psutil.Process().children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]


def test_the_attack_succeeds_where_no_key_is_asked_for() -> None:
    options = {"protocol": "tcp://", "processes": False, "n_workers": 1, "dashboard_address": ":0"}
    with LocalCluster(**options):
        assert attack(list_ports()) == {os.getpid()}


def test_nobody_without_the_key_runs_code_in_a_local_cluster() -> None:
    with Workers(2, 1000).start() as client:
        assert client.submit(abs, -1).result() == 1
        ports = list_ports()
        assert len(ports) >= 5  # a scheduler, two nannies and two workers
        assert attack(ports) == set()


def test_nobody_without_the_key_runs_code_through_the_scheduler_of_workers_on_slurm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Workers(2, 1000, "slurm")._create_slurm_cluster() as cluster:
        assert attack(list_ports()) == set()
        keys = list(tmp_path.iterdir())
        assert keys
        assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
        script = cluster.job_script()
        assert "PRIVATE KEY" not in script
        assert "tls://" in script
        for path in keys:
            assert f" ./{path.name}" in script


def import_planted(_: int) -> None:
    import planted_by_another_user  # noqa: F401


def test_nothing_is_imported_from_a_folder_that_others_may_have_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    planted = tmp_path / "dask-scratch-space/planted_by_another_user.py"
    planted.parent.mkdir()
    planted.touch()
    with Workers(1, 1000).start() as client:
        for imported in (client.submit(import_planted, 0).result, lambda: import_planted(0)):
            with pytest.raises(ImportError):
                imported()
    assert list(tmp_path.iterdir()) == [planted.parent]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1:1", "TLS://127.0.0.1:1"])
def test_workers_do_not_connect_to_a_scheduler_without_certificates(address: str) -> None:
    message = f"dask_cluster: {address} asks for no certificate, .*\nhint: .*tls://HOST:PORT"
    with pytest.raises(EmotraceError, match=message):
        list(map_clips(crash, [1], label="", workers=Workers(1, 1000, address)))


def test_the_config_refuses_a_scheduler_without_certificates_unless_its_network_is_trusted() -> (
    None
):
    config = {"dask_cluster": "tcp://127.0.0.1:1"}
    with pytest.raises(EmotraceError, match=r"asks for no certificate, .*\nhint: "):
        load_config(config)
    load_config(config | {"dask_network_is_trusted": True})
    load_config({"dask_cluster": "tls://127.0.0.1:1"})


def test_a_scheduler_with_certificates_that_nobody_named_is_refused(
    tmp_path: Path,
) -> None:
    workers = Workers(1, 1000, "tls://127.0.0.1:1")
    with pytest.raises(EmotraceError, match=r"names none\nhint: .* distributed.comm.tls: "):
        list(map_clips(crash, [1], label="", workers=workers))
    files = {"ca-file": str(tmp_path / "none"), "client.cert": str(tmp_path / "none")}
    with (
        dask.config.set({f"distributed.comm.tls.{key}": file for key, file in files.items()}),
        pytest.raises(EmotraceError, match=r"cannot be read \(.*No such file.*\)\nhint: "),
    ):
        list(map_clips(crash, [1], label="", workers=workers))


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    workers = Workers(1, 1000, "tcp://127.0.0.1:1", network_is_trusted=True)
    with pytest.raises(EmotraceError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1 .*"):
        list(map_clips(crash, [1], label="", workers=workers))


def find_folder(_: int) -> Path:
    return Path.cwd()


@contextmanager
def run_cluster(folder: Path, packages: Path, *options: str) -> Iterator[str]:
    """Yield the address of a Dask cluster that others started, where nothing of ours is at hand.

    Packages in a folder of that name hide those installed.
    """
    file = folder / "scheduler.json"
    common = ["--scheduler-file", str(file), "--no-dashboard", *options]
    scheduler = ["distributed.cli.dask_scheduler", "--port", "0", *common]
    worker = ["distributed.cli.dask_worker", "--nthreads", "1", *common]
    environment = os.environ | {"PYTHONPATH": str(packages)}
    started = []
    try:
        for command in (scheduler, worker):
            streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            python = [sys.executable, "-m", *command]
            started.append(subprocess.Popen(python, cwd=folder, env=environment, **streams))
        while not file.exists():
            assert started[0].poll() is None
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        with Client(address) as client:
            client.wait_for_workers(1, timeout=60)
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)


def test_a_cluster_that_is_there_already_does_the_work(tmp_path: Path) -> None:
    with run_cluster(tmp_path, tmp_path / "none") as address:
        workers = Workers(1, 1000, address, network_is_trusted=True)
        items = [(tmp_path, number) for number in range(4)]
        assert list(map_clips(crash, items, label="", workers=workers)) == [0, -1, -2, -3]
        # Where that worker was started, and in no process of ours.
        assert list(map_clips(find_folder, [0], label="", workers=workers)) == [tmp_path]


def test_a_cluster_that_asks_for_a_certificate_gets_that_of_the_configuration_of_dask(
    tmp_path: Path,
) -> None:
    made = Security.temporary()
    files = {"ca-file": made.tls_ca_file, "cert": made.tls_client_cert, "key": made.tls_client_key}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    options = [word for name in files for word in (f"--tls-{name}", str(tmp_path / name))]
    settings = {"ca-file": "ca-file", "client.cert": "cert", "client.key": "key"}
    settings = {f"distributed.comm.tls.{key}": str(tmp_path / settings[key]) for key in settings}
    with (
        dask.config.set(settings),
        run_cluster(tmp_path, tmp_path / "none", "--protocol", "tls", *options) as address,
    ):
        workers = Workers(1, 1000, address)
        assert list(map_clips(find_folder, [0], label="", workers=workers)) == [tmp_path]


def test_a_cluster_in_another_environment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/pandas.py").write_text("raise ImportError('pandas is not here')")
    with (
        run_cluster(tmp_path, tmp_path / "packages") as address,
        pytest.raises(EmotraceError, match=r"cannot run emotrace \(pandas is not here\)\nhint: "),
    ):
        workers = Workers(1, 1000, address, network_is_trusted=True)
        list(map_clips(find_folder, [0], label="", workers=workers))
