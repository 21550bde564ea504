"""The documentation of the architecture says what the code does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.draw_flow import draw_page, drop_shortcuts
from tests.workflow import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")

ROWS = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", PAGE, re.MULTILINE)
ALLOWED = {folder: set(re.findall(r"`(\w+)`", names)) for folder, names in ROWS}

EVERYWHERE = {"runtime", "reruns"}

PATH = re.compile(r"`((?:[\w.]+/)*[\w.]+(?:\.(?:md|py|smk|txt|toml|yaml|yml)|/))`")


def list_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_picture_shows_the_workflow() -> None:
    assert draw_page() == PAGE, "run make flow"


def test_arrows_that_a_longer_way_implies_are_left_out() -> None:
    followers = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert drop_shortcuts(followers) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_every_folder_has_a_row() -> None:
    assert set(ALLOWED) == {path.parent.name for path in ROOT.glob("emotrace/*/__init__.py")}


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_a_folder_imports_what_its_row_allows(folder: str) -> None:
    allowed = ALLOWED[folder] | EVERYWHERE | {folder}
    for path in ROOT.glob(f"emotrace/{folder}/**/*.py"):
        for name in list_imports(path):
            package, _, inner = name.partition(".")
            assert package != "snakemake", path
            if package == "emotrace" and inner.split(".")[0] in ALLOWED:
                assert inner.split(".")[0] in allowed, f"{path} imports {name}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_named_files_are_there(page: str) -> None:
    named = PATH.findall((ROOT / page).read_text(encoding="utf-8"))
    named = [path for path in named if not re.search("[A-Z]{3}", Path(path).stem)]
    missing = [path for path in named if not (ROOT / path).exists()]
    # What a run makes is not in the repository; bare names are of files below a named folder.
    assert [path for path in missing if "/" in path and not path.startswith("results/")] == []
