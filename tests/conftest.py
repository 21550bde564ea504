from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

NOTHING_MAY_BE_SKIPPED = os.environ.get("EMOTRACE_REQUIRE_ALL") == "1"


@pytest.fixture
def real_music() -> Path:
    folder = os.environ.get("EMOTRACE_MUSIC")
    if not folder:
        pytest.skip("EMOTRACE_MUSIC names no folder with emomusic-excerpts and emomusic-full")
    return Path(folder).resolve()


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
