"""A clip has the same bits in whatever process it is computed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emotrace.features.extraction import extract_table
from emotrace.features.recipe import write_recipe
from emotrace.reruns.store import Store
from emotrace.runtime.threads import SINGLE_THREADED
from emotrace.runtime.workers import Workers
from tests.test_extraction import build_files
from tests.workflow import ROOT

pytestmark = pytest.mark.slow

RECIPE = write_recipe("chroma", {"window_s": 0.5, "hop_s": 0.5})

IN_THREADS = """
import sys
from pathlib import Path
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_info, threadpool_limits

np.ones((9, 9)) @ np.ones((9, 9))
threadpool_limits(4)
assert {pool["num_threads"] for pool in threadpool_info()} == {4}

from emotrace.features import extraction
from emotrace.reruns.store import Store
from tests.test_threads import RECIPE

files = pd.read_json(sys.argv[1], dtype={"clip_id": "str"})
kept = extraction.KeptFrames(Store(Path(sys.argv[2]), Path()), RECIPE)
for request in extraction.list_requests(files, RECIPE):
    assert extraction._take_clip(request, kept, []) is not None
during = {pool["num_threads"] for pool in threadpool_info()}
print(during)
"""
"""Repairs clips in a process whose libraries may use four threads."""


def test_a_repaired_entry_has_the_bits_that_a_worker_gave_it(tmp_path: Path) -> None:
    files = build_files(tmp_path)
    store = Store(tmp_path / "store", tmp_path)
    table = tmp_path / "chroma.parquet"
    extract_table(
        files,
        recipe=RECIPE,
        store=store,
        path=table,
        workers=Workers(1, 2000),
        max_excluded=0,
    )
    files.to_json(tmp_path / "files.json")
    others = {name: "4" for name in SINGLE_THREADED}
    repaired = subprocess.run(
        [sys.executable, "-c", IN_THREADS, "files.json", "repaired"],
        cwd=tmp_path,
        env=os.environ | others | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert repaired.returncode == 0, repaired.stderr
    # On one core, four threads may add up as one does; that no library used them counts there.
    assert repaired.stdout == "{1}\n"
    by_worker = sorted(tmp_path.glob("store/features/*/*/*/*"))
    by_repair = sorted(tmp_path.glob("repaired/features/*/*/*/*"))
    assert len(by_worker) == len(by_repair) == 3
    for one, other in zip(by_worker, by_repair, strict=True):
        assert one.read_bytes() == other.read_bytes()
