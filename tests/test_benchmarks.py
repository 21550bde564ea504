"""Benchmarks, which nobody runs every day, still fit the library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow import ROOT


@pytest.mark.parametrize("path", sorted(ROOT.glob("benchmarks/*.py")), ids=lambda path: path.stem)
def test_a_benchmark_finds_what_it_imports(path: Path) -> None:
    command = [sys.executable, "-c", f"import {path.stem}"]
    completed = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
