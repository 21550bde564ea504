"""What a result depends on besides its inputs: the code and the libraries behind it."""

from __future__ import annotations

import ast
import hashlib
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotrace.errors import EmotraceError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Reader = Callable[[Path], tuple[str, tuple[Path, ...]]]

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
    return _digest_modules(files, _read_module)


@cache
def refuse_changed_code(planned: str, what: str, *files: str) -> None:
    """Stop a process whose code is no longer what it was when the run was planned.

    Else what it made would be kept as the work of the code that was planned. Ask
    before the first result is kept, when all of the code was imported: what is
    edited later does not matter, so a process looks at each module once. One that
    works for several runs, as on a Dask cluster, keeps what it imported for the first.

    Parameters
    ----------
    planned : str
        What `digest_code` was when the run was planned.
    what : str
        Whose code.
    *files : str
        Of `digest_code`.

    Raises
    ------
    EmotraceError
        If the code is another.
    """
    if _digest_modules(files, _read_imported) != planned:
        raise EmotraceError(
            f"{what}: its code was edited after the run was planned, or after this worker began",
            hint="start the same command again, and before it the workers of a Dask cluster",
        )


@cache
def refuse_other_versions(what: str, *planned: tuple[str, str]) -> None:
    """Stop a process that runs with other libraries than the job that started it.

    Workers on other machines may; what they made would be kept as the work of the
    versions that were planned.

    Parameters
    ----------
    what : str
        Whose libraries.
    *planned : tuple of str
        Distributions and their versions.

    Raises
    ------
    EmotraceError
        If a version is another.
    """
    for name, version in planned:
        found = _find_imported(name)
        if found != version:
            raise EmotraceError(
                f"{what}: needs {name} {version}, and {socket.gethostname()} has {found}",
                hint="start the workers in the environment of the workflow",
            )


def find_versions(*distributions: str) -> dict[str, str]:
    """Return the installed versions of distributions, "absent" where not installed."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


def digest_files(*files: str | Path) -> str:
    """Digest the bytes of files, in their order."""
    digest = hashlib.sha256()
    for name in files:
        with open(name, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def digest_tables(*tables: pa.Table | pd.DataFrame) -> str:
    """Digest the names, types and values of tables, blind to how a file encodes them."""
    import pyarrow as pa

    digest = hashlib.sha256()
    for table in tables:
        if not isinstance(table, pa.Table):
            table = pa.Table.from_pandas(table, preserve_index=False)
        sink = pa.BufferOutputStream()
        plain = table.combine_chunks().replace_schema_metadata(None)
        with pa.ipc.new_stream(sink, plain.schema) as writer:
            writer.write_table(plain)
        digest.update(sink.getvalue())
    return digest.hexdigest()


@cache
def _find_imported(distribution: str) -> str:
    """Return the version of a distribution when this process first asked for it."""
    return find_versions(distribution)[distribution]


def _digest_modules(files: Sequence[str], read: Reader) -> str:
    seen: dict[Path, str] = {}
    waiting = [ROOT / file for file in files]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen[path], imported = read(path)
            waiting += imported
    lines = [f"{path.relative_to(ROOT).as_posix()} {seen[path]}" for path in sorted(seen)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _parse_module(path: Path) -> tuple[str, tuple[Path, ...]]:
    """Digest a module, and name those of ours that it imports."""
    try:
        tree = _strip(ast.parse(path.read_text(encoding="utf-8")))
    except SyntaxError as error:
        raise EmotraceError(
            f"{path}, line {error.lineno}: is not valid Python ({error.msg})",
            hint="mend it; what depends on this file cannot be told before",
        ) from None
    digest = hashlib.sha256(repr(_describe(tree)).encode()).hexdigest()
    package = path.relative_to(ROOT).parent.parts
    imported = {file for name in _list_imports(tree, package) for file in _locate_module(name)}
    return digest, tuple(sorted(imported - {path}))


_read_module = cache(_parse_module)
_read_imported = cache(_parse_module)
"""The same for `refuse_changed_code`, which must not see what was read before it was imported."""


def _describe(node: Any) -> Any:
    """Spell out a syntax tree so that all versions of Python spell it alike."""
    if isinstance(node, list):
        return [_describe(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    # Newer versions add fields, which are empty where the code would also run in older ones.
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return type(node).__name__, [(name, _describe(value)) for name, value in fields]


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
