"""Work divided among processes, some of which die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client, get_worker

from emotrace.errors import EmotraceError
from emotrace.parallel import map_clips
from emotrace.workers import SINGLE_THREADED, Workers

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
def test_a_crash_costs_one_clip_and_no_neighbour(n_workers: int, tmp_path: Path) -> None:
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


def test_who_needs_more_memory_than_its_share_gets_all_of_it_once() -> None:
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


def test_a_crash_that_nobody_provided_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmotraceError, match=r"5\): twice the process .* died.*\nhint: "):
        list(map_clips(crash, [(tmp_path, 5)], label="", workers=Workers(1, 1000)))


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    workers = Workers(1, 1000, "tcp://127.0.0.1:1")
    with pytest.raises(EmotraceError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1 .*"):
        list(map_clips(crash, [1], label="", workers=workers))


def find_folder(_: int) -> Path:
    return Path.cwd()


@contextmanager
def run_cluster(folder: Path, packages: Path) -> Iterator[str]:
    """Yield the address of a Dask cluster that others started, where nothing of ours is at hand.

    Packages in a folder of that name hide those installed.
    """
    file = folder / "scheduler.json"
    common = ["--scheduler-file", str(file), "--no-dashboard"]
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
        workers = Workers(1, 1000, address)
        items = [(tmp_path, number) for number in range(4)]
        assert list(map_clips(crash, items, label="", workers=workers)) == [0, -1, -2, -3]
        # Where that worker was started, and in no process of ours.
        assert list(map_clips(find_folder, [0], label="", workers=workers)) == [tmp_path]


def test_a_cluster_in_another_environment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/pandas.py").write_text("raise ImportError('pandas is not here')")
    with (
        run_cluster(tmp_path, tmp_path / "packages") as address,
        pytest.raises(EmotraceError, match=r"cannot run emotrace \(pandas is not here\)\nhint: "),
    ):
        list(map_clips(find_folder, [0], label="", workers=Workers(1, 1000, address)))
