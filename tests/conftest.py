from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.bench import CONFIG, EVERYTHING, Bench, write_music
from tests.workflow import copy_workflow, list_jobs

NOTHING_MAY_BE_SKIPPED = os.environ.get("EMOTRACE_REQUIRE_ALL") == "1"


@pytest.fixture
def real_music() -> Path:
    folder = os.environ.get("EMOTRACE_MUSIC")
    if not folder:
        pytest.skip("EMOTRACE_MUSIC names no folder with emomusic-excerpts and emomusic-full")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A finished run, which no test may change."""
    base = tmp_path_factory.mktemp("finished")
    write_music(base / "run/music")
    (base / "packages").mkdir()
    bench = Bench(base / "run", copy_workflow(base / "workflow"), CONFIG, base / "packages")
    assert set(list_jobs(bench.run())) == EVERYTHING
    assert bench.count() == {
        "chroma": (12, 0),
        "compare": (12, 0),
        "chroma_LSTM_2": (2, 0),
        "chroma_AT_2": (2, 0),
        "compare_AT_2": (2, 0),
    }
    return bench


@pytest.fixture
def bench(finished: Bench, tmp_path: Path) -> Bench:
    """A copy of the finished run, to be changed."""
    shutil.copytree(finished.folder.parent, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "run/logs")
    return Bench(tmp_path / "run", tmp_path / "workflow", dict(CONFIG), tmp_path / "packages")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    return _refuse_skip((yield))


def _refuse_skip(report: Any) -> Any:
    if NOTHING_MAY_BE_SKIPPED and report.skipped and not hasattr(report, "wasxfail"):
        *_, reason = report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\nEMOTRACE_REQUIRE_ALL=1 allows no test to be skipped"
    return report
