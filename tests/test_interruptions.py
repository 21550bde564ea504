"""Runs that are killed, or changed while they work, and stores that several runs share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from emotrace.reruns.checksums import read_json
from emotrace.reruns.store import Store
from tests.bench import Bench, add_logic, rewrite_compare_alike, widen_windows_of_compare
from tests.workflow import build_command, list_jobs, run_snakemake

pytestmark = pytest.mark.slow


def test_a_store_is_shared_and_cleaned(bench: Bench, finished: Bench) -> None:
    bench.config["store"] = str(bench.folder.parent / "shared")
    shutil.move(bench.folder / "store", bench.config["store"])
    assert "Nothing to be done" in bench.run()

    other = Bench(bench.folder.parent / "other", bench.workflow, dict(bench.config), bench.packages)
    shutil.copytree(bench.folder / "music", other.folder / "music")
    other.config["runs"] = [{"feature_sets": ["chroma", "compare"], "models": ["LSTM_2"]}]
    other.run()
    assert other.count() == {
        "chroma": (0, 12),
        "compare": (0, 12),
        "chroma_LSTM_2": (0, 2),
        "compare_LSTM_2": (2, 0),
    }

    # Nobody uses the other models' fits any more, and soon not the narrow windows either.
    shutil.rmtree(bench.folder)
    widen_windows_of_compare(other)
    other.run()
    claims = Store(Path(bench.config["store"]), finished.folder).claims
    finished.folder.rename(away := finished.folder.with_name("unmounted"))
    try:
        cleaned = other.run("clean_store")
    finally:
        away.rename(finished.folder)
    assert f"{finished.folder} is not found" in cleaned and f"rm -r {claims}" in cleaned
    assert "4 are not" in cleaned  # LSTM_2 of narrow windows and its weights, for each target
    shutil.rmtree(claims)
    assert "44 files are in use" in (cleaned := other.run("clean_store")), cleaned
    assert "20 are not" in cleaned
    assert "Nothing to be done" in other.run()
    other.run("features", "--forcerun", "extract_features")
    assert other.count()["chroma"] == other.count()["compare"] == (0, 12)


def test_a_clean_up_that_does_not_know_what_is_used_is_refused(bench: Bench) -> None:
    cleaned = run_snakemake(bench.folder, "clean_store", config=bench.config, root=bench.workflow)
    assert cleaned.returncode != 0
    assert "it is not known which entries results/corpus/files.csv, " in cleaned.stderr
    assert "hint: if the folder was moved or copied" in cleaned.stderr
    assert "Traceback" not in cleaned.stderr


def test_code_edited_while_the_run_waits_is_refused(bench: Bench) -> None:
    shutil.rmtree(bench.folder / "store/features")
    rewrite_compare_alike(bench)
    bench.config["seeds"] = [2]
    command = build_command(bench.folder, "tables", config=bench.config, root=bench.workflow)
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not list(bench.folder.glob("store/features/compare/*/*/[0-9a-f]*")):
        assert run.poll() is None
        time.sleep(0.01)
    add_logic(bench, "emotrace/models/AT.py")
    printed, _ = run.communicate()
    assert run.returncode != 0
    assert "AT_2: its code was edited after the run was planned" in printed
    assert "Traceback" not in printed
    store = Store(bench.folder / "store", bench.folder)
    claim = read_json(store.claims / "results/runs/compare/AT_2/predictions.parquet")
    assert len(claim["entries"]) == 2
    assert not any((store.root / entry).exists() for entry in claim["entries"])
    assert "train_model compare AT_2" in list_jobs(bench.run())


def test_a_killed_run_goes_on_where_it_was(bench: Bench) -> None:
    for kind in ("features", "fits"):
        shutil.rmtree(bench.folder / "store" / kind)
    rewrite_compare_alike(bench)
    command = build_command(bench.folder, "tables", config=bench.config, root=bench.workflow)
    run = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not list(bench.folder.glob("store/features/compare/*/*/[0-9a-f]*")):
            assert run.poll() is None
            time.sleep(0.01)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    bench.run("--unlock")
    bench.run()
    computed, reused = bench.count()["compare"]
    assert (computed + reused, reused > 0) == (12, True)
