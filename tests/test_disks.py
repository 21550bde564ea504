"""Disks that are full or may only be read: a clear error, nothing half written, and a way on."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from emotrace.runtime.disks import check_store_folder, silence_unclosed_files
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.jobs import run_job
from emotrace.training import checkpoint
from tests.test_extraction import build_files, extract
from tests.training import make_corpus, read_run, train, write_inputs
from tests.workflow import ROOT, run_snakemake, succeed

pytestmark = pytest.mark.slow

Mount = Callable[[str], Path]

FULL = "No space left on device"
READ_ONLY = "Read-only file system"

EXPERIMENT: dict[str, Any] = {
    "corpus": {"name": "demo", "n_clips": 12, "duration_s": 45},
    "runs": [{"feature_sets": ["chroma"], "models": ["AT_4"]}],
    "evaluation": {"feature_set": "chroma", "baseline": "AT_4", "bootstrap_samples": 100},
    "training": {"max_epochs": 2},
    "seeds": [1, 2],
}
"""Its attention weights alone take more room than a run must find to begin."""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Return what mounts a disk of 32 MB under a name."""
    mounted: list[Path] = []

    def mount_disk(name: str) -> Path:
        disk = tmp_path / name
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=32m", "emotrace_test", str(disk)]
        if shutil.which("mount") is None or subprocess.run(command).returncode:
            pytest.skip("needs Linux and the right to mount a disk, which root has")
        mounted.append(disk)
        return disk

    yield mount_disk
    for disk in mounted:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def leave_room(disk: Path, size: int) -> None:
    """Fill a disk until so many bytes are free."""
    filling = disk / "filling"
    filling.unlink(missing_ok=True)
    filling.write_bytes(bytes(shutil.disk_usage(disk).free - size))


def make_room(disk: Path) -> None:
    (disk / "filling").unlink()


def protect(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def assert_clear(printed: str, path: Path, reason: str) -> None:
    """Assert that an error names a path and the reason, says what to do, and no more."""
    assert str(path) in printed and reason in printed and "hint: " in printed, printed
    assert "Traceback" not in printed and "Logging error" not in printed, printed


def assert_whole(*folders: Path) -> None:
    """Assert that what lies under a final name can be read to its end."""
    for file in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if file.suffix == ".parquet" and "claims" not in file.parts:
            pq.read_table(file, page_checksum_verification=True)
        if file.suffix == ".json":
            json.loads(file.read_text(encoding="utf-8"))
        assert not file.name.startswith("."), file


def test_a_run_after_full_disks_ends_with_the_tables_of_an_undisturbed_run(
    mount: Mount, tmp_path: Path
) -> None:
    store, folder = mount("store"), mount("run")
    config = EXPERIMENT | {"store": str(store)}

    def run(*targets: str) -> subprocess.CompletedProcess[str]:
        return run_snakemake(folder, *targets, config=config)

    def fail_on(disk: Path, size: int, job: str, target: str = "tables") -> None:
        leave_room(disk, size)
        failed = run(target)
        printed = failed.stdout + failed.stderr
        assert failed.returncode != 0
        assert f"Error in rule {job}" in printed
        assert_clear(printed, disk, FULL)
        assert_whole(store, folder / "results")
        make_room(disk)

    succeed(run("corpus"))
    fail_on(store, 40_000, "extract_features")
    succeed(run("features"))
    fail_on(store, 10_000, "train_model")
    fail_on(folder, 250_000, "train_model", "models")
    succeed(run("tables"))
    alone = tmp_path / "alone"
    succeed(run_snakemake(alone, "tables", config=EXPERIMENT))
    for table in ("tables.csv", "comparisons.csv", "groups.csv"):
        expected = (alone / "results" / table).read_bytes()
        assert (folder / "results" / table).read_bytes() == expected, table


@pytest.mark.parametrize(("size", "reason"), [(0, FULL), (None, READ_ONLY)])
@pytest.mark.parametrize("part", [".", "results"])
def test_a_folder_that_takes_no_files_is_refused_before_any_job(
    part: str, size: int | None, reason: str, mount: Mount, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    disk = mount(f"run/{part}") if part != "." else mount("disk")
    folder = disk if part == "." else tmp_path / "run"
    protect(disk) if size is None else leave_room(disk, size)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(EXPERIMENT), encoding="utf-8")
    refused = run_snakemake(folder, "tables", "--configfile", str(config))
    assert refused.returncode != 0
    assert_clear(refused.stdout + refused.stderr, disk, reason)
    assert {path.name for path in disk.iterdir()} <= {"filling", ".snakemake"}


def test_a_full_folder_for_temporary_files_is_refused_before_any_job(
    mount: Mount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = mount("temporary")
    leave_room(disk, 0)
    monkeypatch.setenv("TMPDIR", str(disk))
    refused = run_snakemake(tmp_path / "run", "tables", "--dry-run", config=EXPERIMENT)
    assert refused.returncode != 0
    assert_clear(refused.stdout + refused.stderr, disk, FULL)


@pytest.mark.parametrize("store", ["file", "file/below", "to nowhere", 300 * "a"])
def test_a_store_that_cannot_be_a_folder_is_refused(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("to nowhere").symlink_to("nowhere")
    with pytest.raises(EmotraceError, match=r"^store: /.*(not a folder|too long)\nhint: "):
        check_store_folder(store)
    for usable in ("new/folder", ".", str(tmp_path)):
        check_store_folder(usable)


JOB = """
import logging, sys
from pathlib import Path
import pandas as pd
from emotrace.runtime.jobs import run_job
from tests.test_extraction import extract
from tests.training import make_corpus, train

def write_lines():
    for line in range(1000):
        logging.getLogger("emotrace").info("line %d", line)

files, store, here = pd.read_parquet(sys.argv[1]), Path(sys.argv[2]), Path.cwd()
with run_job("job.log"):
    write_lines()
print("no log, no harm")
with run_job("job.log", *sys.argv[3:]):
    write_lines()
    {work}
"""


EXTRACT = "extract(files, here / 'table.parquet', store)"
TRAIN = "train(here, make_corpus(), store=store)"


# One page, or room for the log and for some of a run's files.
@pytest.mark.parametrize(
    ("work", "size", "named"),
    [
        (EXTRACT, 4_096, "table.parquet"),
        (TRAIN, 4_096, "predictions.parquet"),
        (TRAIN, 36_864, "weights/valence_fold0_seed1.safetensors"),
    ],
)
def test_a_job_reports_a_full_disk_even_if_its_log_is_lost(
    work: str, size: int, named: str, mount: Mount, tmp_path: Path
) -> None:
    disk, store = mount("run"), tmp_path / "store"
    files = build_files(tmp_path)
    extract(files, tmp_path / "table.parquet", store)
    train(tmp_path, make_corpus(), store=store)
    files.to_parquet(tmp_path / "files.parquet")
    leave_room(disk, size)
    outputs = [f"{name}.parquet" for name in ("table", "predictions", "attention", "history")]
    command = [sys.executable, "-c", JOB.format(work=work)]
    job = subprocess.run(
        [*command, str(tmp_path / "files.parquet"), str(store), *outputs],
        capture_output=True,
        text=True,
        cwd=disk,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert (job.returncode, job.stdout) == (1, "no log, no harm\n"), job.stderr
    assert_clear(job.stderr, disk, FULL)
    assert named in job.stderr
    assert not list(disk.glob("*.parquet"))


def test_files_that_a_full_disk_keeps_open_are_passed_over_and_no_other_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    silence_unclosed_files()
    others = [
        SimpleNamespace(exc_value=error)
        for error in (OSError(errno.EIO, "broken"), OSError("odd"), ValueError("odd"))
    ]
    for unraisable in (SimpleNamespace(exc_value=OSError(errno.ENOSPC, FULL)), *others):
        sys.unraisablehook(unraisable)
    assert reported == others


def test_the_training_command_says_that_its_disk_is_full(mount: Mount, tmp_path: Path) -> None:
    disk = mount("run")
    write_inputs(tmp_path)
    command = [sys.executable, "-m", "emotrace.training", "AT_2", "table.parquet"]
    command += ["--corpus", ".", "--folder", "run", "--max-epochs", "1"]

    def train_there() -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment
        )

    succeed(train_there())
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    leave_room(disk, 8_192)
    refused = train_there()
    assert refused.returncode == 1
    assert_clear(refused.stderr, Path("run"), FULL)
    assert [path.name for path in disk.rglob("*") if path.is_file()] == ["filling"]
    make_room(disk)
    assert "0 fits made" in succeed(train_there())


def test_a_log_that_may_not_be_written_is_named(
    mount: Mount, capfd: pytest.CaptureFixture[str]
) -> None:
    disk = mount("run")
    protect(disk)
    with pytest.raises(SystemExit), run_job(disk / "job.log"):
        raise AssertionError("nothing may begin")
    assert_clear("".join(capfd.readouterr()), disk / "job.log", READ_ONLY)


def test_a_full_disk_never_leaves_half_a_fit(
    mount: Mount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)
    store = mount("store")
    train(tmp_path / "expected", make_corpus())
    # Room for the claim alone; for half a checkpoint; for a fit and the next one's checkpoint.
    for size in (8_192, 16_384, 65_536):
        leave_room(store, size)
        with pytest.raises(EmotraceError) as refused:
            train(tmp_path / "run", make_corpus(), store=store)
        assert_clear(str(refused.value), store, FULL)
        for path in store.rglob("*.checkpoint"):
            assert checkpoint.Checkpoint(path).load(torch.device("cpu")) is not None
    make_room(store)
    train(tmp_path / "run", make_corpus(), store=store)
    assert read_run(tmp_path / "run") == read_run(tmp_path / "expected")
    assert_whole(store)


def test_a_store_that_may_only_be_read_serves_what_it_holds(mount: Mount, tmp_path: Path) -> None:
    store, table = mount("store"), tmp_path / "table.parquet"
    files, corpus = build_files(tmp_path), make_corpus()
    extracted = extract(files[:2], table, store)
    train(tmp_path / "run", corpus, store=store)
    before = read_run(tmp_path / "run")
    protect(store)
    assert extract(files[:2], table, store).digest == extracted.digest
    train(tmp_path / "run", corpus, store=store)
    assert read_run(tmp_path / "run") == before
    with pytest.raises(EmotraceError) as refused:
        extract(files, table, store)
    assert_clear(str(refused.value), store, READ_ONLY)
    with pytest.raises(EmotraceError) as refused:
        train(tmp_path / "run", corpus, store=store, seeds=(1, 2))
    assert_clear(str(refused.value), store, READ_ONLY)


def test_a_store_that_may_only_be_read_serves_a_new_folder(
    mount: Mount, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, files, corpus = mount("store"), build_files(tmp_path), make_corpus()
    for folder in ("owner", "other", "third"):
        (tmp_path / folder).mkdir()
    extracted = extract(files[:2], tmp_path / "owner/table.parquet", store)
    train(tmp_path / "owner", corpus, store=store)
    shutil.rmtree(store / "claims")  # so that even the folder of the claims is missing
    protect(store)
    again = extract(files[:2], tmp_path / "other/table.parquet", store)
    assert (again.digest, again.computed) == (extracted.digest, 0)
    assert f"{store} may only be read" in caplog.text
    assert "what table.parquet is made of may be removed" in caplog.text
    train(tmp_path / "other", corpus, store=store)
    runs = read_run(tmp_path / "owner"), read_run(tmp_path / "other")
    assert runs[0] == runs[1]
    with pytest.raises(EmotraceError) as refused:
        extract(files, tmp_path / "third/table.parquet", store)
    assert_clear(str(refused.value), store, READ_ONLY)
