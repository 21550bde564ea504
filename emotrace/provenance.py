"""What a result depends on besides its inputs: the code and the libraries behind it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder of the Snakefile."""


def digest_code(*files: str) -> str:
    """Digest what files, and all modules of ours that they import, do.

    Comments, docstrings and formatting do not count, so that editing them
    reruns nothing. Modules that are imported by a computed name are not seen:
    name them too.

    Parameters
    ----------
    *files : str
        Paths of Python files, relative to the Snakefile.

    Returns
    -------
    str
        Twelve hexadecimal digits.
    """
    seen: dict[Path, str] = {}
    waiting = [ROOT / file for file in files]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen[path], imported = _read_module(path)
            waiting += imported
    lines = [f"{path.relative_to(ROOT).as_posix()} {seen[path]}" for path in sorted(seen)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def find_versions(*distributions: str) -> dict[str, str]:
    """Return the installed versions of distributions, "absent" where not installed."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


@cache
def _read_module(path: Path) -> tuple[str, tuple[Path, ...]]:
    tree = _strip(ast.parse(path.read_text(encoding="utf-8")))
    digest = hashlib.sha256(ast.unparse(tree).encode()).hexdigest()
    package = path.relative_to(ROOT).parent.parts
    imported = {file for name in _list_imports(tree, package) for file in _locate_module(name)}
    return digest, tuple(sorted(imported - {path}))


def _strip(tree: ast.Module) -> ast.Module:
    """Remove docstrings and imports that only type checkers see."""
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            node.body = [line for line in node.body if not _is_inert(line)] or [ast.Pass()]
    return tree


def _is_inert(line: ast.stmt) -> bool:
    if isinstance(line, ast.Expr):
        return isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
    type_checking = isinstance(line, ast.If) and ast.unparse(line.test) == "TYPE_CHECKING"
    return type_checking and not line.orelse


def _list_imports(tree: ast.Module, package: Sequence[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from . import x` counts from the package of the file, `from .. import x` from above.
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _locate_module(name: str) -> Iterator[Path]:
    """Yield the files that importing a module of ours runs: its packages', then its own."""
    parts = name.split(".")
    if parts[0] != "emotrace":
        return
    for length in range(1, len(parts) + 1):
        folder = ROOT.joinpath(*parts[:length])
        for file in (folder / "__init__.py", folder.with_suffix(".py")):
            if file.is_file():
                yield file
