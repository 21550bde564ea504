"""The examples in docstrings say what they show."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from tests.workflow import ROOT


def list_modules() -> list[str]:
    """List the modules that hold examples."""
    files = [
        path for path in ROOT.glob("emotrace/**/*.py") if "\n    >>> " in path.read_text("utf-8")
    ]
    names = (path.relative_to(ROOT).with_suffix("").parts for path in sorted(files))
    return [".".join(name).removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", list_modules())
def test_examples_are_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0


def test_examples_are_found() -> None:
    assert len(list_modules()) >= 9
