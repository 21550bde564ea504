"""Digest what code does, regardless of how it is written and where it lies."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from emotrace.runtime.errors import EmotraceError


@dataclass(frozen=True)
class Module:
    """One module of this project.

    Parameters
    ----------
    text : str
        The module's syntax tree as text, without its imports of this project's modules.
    digest : str
        Digest of the text and of the imported names, regardless of where these come from.
    imports : tuple of (str, tuple of Path)
        For each import of this project's modules, the names it binds and the files it runs.
    """

    text: str
    digest: str
    imports: tuple[tuple[str, tuple[Path, ...]], ...]


Reader = Callable[[Path], Module]

FACTS = "FACTS"
"""Name of the constant that holds facts about a module, to be read without importing it."""

ROOT = Path(__file__).resolve().parent.parent.parent
"""Folder that holds the Snakefile."""


def digest_code(*files: str) -> str:
    """Digest what files do, together with the modules of this project that they import.

    Comments, docstrings, formatting, the texts of errors, log lines, the paths of modules, and
    the contents of ``FACTS`` do not count, so editing only these reruns nothing. Modules that
    are imported by a computed name are not found; pass their files as well.

    Parameters
    ----------
    *files : str
        Paths of Python files, relative to the folder of the Snakefile.

    Returns
    -------
    str
        Twelve hexadecimal digits.
    """
    return _digest_modules(files, _read_module)


@cache
def check_code(planned: str, what: str, *files: str) -> None:
    """Stop a process whose code has changed since the run was planned.

    Otherwise its results would be stored as those of the planned code. Call this function
    after all code has been imported and before the first result is stored. Edits after that
    do not matter, so a process reads each module only once. A process that works for several
    runs, such as a Dask worker, keeps the code that it imported for the first run.

    Parameters
    ----------
    planned : str
        Result of `digest_code` when the run was planned.
    what : str
        Name of what the code makes, for the error message.
    *files : str
        Files that were passed to `digest_code`.

    Raises
    ------
    EmotraceError
        If the code has changed.
    """
    if _digest_modules(files, _read_imported) != planned:
        raise EmotraceError(
            f"{what}: its code was edited after the run was planned, or after this worker began",
            hint="start the same command again, and before it the workers of a Dask cluster",
        )


def read_constant(file: Path, name: str, *, default: Any = None) -> Any:
    """Read a constant from the text of a module, without importing the module's libraries.

    Parameters
    ----------
    file : Path
        Path of the module.
    name : str
        Name of the constant, which must be assigned once, outside of all functions.
    default : optional
        Value to return if the module has no such constant.

    Raises
    ------
    EmotraceError
        If the constant is not a literal, or the file is not valid Python.
    """
    for line in _parse_file(file).body:
        if _assigns(line, name):
            try:
                return ast.literal_eval(line.value)
            except (ValueError, TypeError):
                raise EmotraceError(
                    f"{file}, line {line.lineno}: {name} is computed, and is read without running "
                    "the file",
                    hint=f"write {name} out, as texts, numbers, tuples and dictionaries",
                ) from None
    return default


def _digest_modules(files: Sequence[str], read: Reader) -> str:
    modules: dict[Path, Module] = {}
    waiting = [ROOT / file for file in files]
    while waiting:
        path = waiting.pop()
        if path not in modules:
            modules[path] = read(path)
            waiting += (file for _, imported in modules[path].imports for file in imported)
    lines = set()
    for module in modules.values():
        # Digest imports by their content, so that moving a module changes nothing.
        imports = [
            f"{names} from {[modules[file].digest for file in imported]}"
            for names, imported in module.imports
        ]
        if module.text:
            lines.add("\n".join([module.text, *imports]))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:12]


def _parse_file(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise EmotraceError(
            f"{path}: is not valid Python ({error})",
            hint="correct it: until then nobody can tell what depends on this file",
        ) from None


def _assigns(line: ast.stmt, name: str) -> bool:
    """Return whether a line assigns a value to a name."""
    targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
    return (
        isinstance(line, ast.Assign | ast.AnnAssign)
        and line.value is not None
        and any(isinstance(target, ast.Name) and target.id == name for target in targets)
    )


def _parse_module(path: Path) -> Module:
    tree = _parse_file(path)
    # FACTS informs the workflow and is not part of what a module does, unless it uses FACTS itself.
    if sum(isinstance(node, ast.Name) and node.id == FACTS for node in ast.walk(tree)) == 1:
        tree.body = [line for line in tree.body if not _assigns(line, FACTS)]
    for block in _list_blocks(tree):
        block[:] = [line for line in block if not _is_inert(line)]
    package = path.relative_to(ROOT).parent.parts
    imports = [names for block in _list_blocks(tree) for names in _take_imports(block, package)]
    text = repr(_describe(_RemoveWords().visit(tree).body)) if tree.body else ""
    names = [names for names, _ in imports]
    digest = hashlib.sha256("\n".join([text, *names]).encode()).hexdigest()
    return Module(text, digest, tuple(imports))


def _take_imports(
    block: list[ast.stmt], package: Sequence[str]
) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Replace the imports of this project's modules in a block, and yield them in its order.

    Neighbours are sorted by the names that they bind, because formatters sort them by the
    paths of the modules. If two bind the same name, their order matters, and they stay.
    """
    rest, block[:] = list(block), []
    for is_ours, lines in groupby(rest, lambda line: bool(_locate_imports(line, package))):
        if not is_ours:
            block += lines
            continue
        found = [(_name_imported(line), _locate_imports(line, package)) for line in lines]
        bound = [name for names, _ in found for name in re.findall(r"(\w+)(?:,|$)", names)]
        yield from sorted(found) if len(set(bound)) == len(bound) else found
        block += [ast.Expr(ast.Constant(f"{len(found)} imports"))]


_read_module = cache(_parse_module)
_read_imported = cache(_parse_module)
"""Cached `_parse_module` for `check_code`, which must not use what was read before the import."""


def _describe(node: Any) -> Any:
    """Write out a syntax tree in the same way for all versions of Python."""
    if isinstance(node, list):
        return [_describe(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    # Newer versions add fields, which are empty if the code also runs in older versions.
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return type(node).__name__, [(name, _describe(value)) for name, value in fields]


def _list_blocks(tree: ast.Module) -> list[list[ast.stmt]]:
    """List the blocks of statements of a module, from the outside inwards."""
    names = ("body", "orelse", "finalbody")
    blocks = (getattr(node, name, None) for node in ast.walk(tree) for name in names)
    return [block for block in blocks if isinstance(block, list)]


def _is_inert(line: ast.stmt) -> bool:
    """Return whether a line is a docstring, a log line, or an import for type checkers alone."""
    if isinstance(line, ast.Expr):
        value = line.value
        if isinstance(value, ast.Call):
            return ast.unparse(value.func).startswith("logger.")
        return isinstance(value, ast.Constant) and isinstance(value.value, str)
    type_checking = isinstance(line, ast.If) and ast.unparse(line.test) == "TYPE_CHECKING"
    return type_checking and not line.orelse


class _RemoveWords(ast.NodeTransformer):
    """Empty the texts that are given to errors, and what settings say and allow."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            _empty_texts(node.exc)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = ast.unparse(node.func)
        if name.endswith("Error"):
            _empty_texts(node)
        if name == "setting":
            # They check a config and describe it; the default alone can reach a result.
            node.keywords = [word for word in node.keywords if word.arg == "default"]
        return self.generic_visit(node)


def _empty_texts(call: ast.Call) -> None:
    call.args = [ast.Constant("") if _is_text(value) else value for value in call.args]
    for word in call.keywords:
        if word.arg == "hint" and _is_text(word.value):
            word.value = ast.Constant("")


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) and _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _locate_imports(line: ast.stmt, package: Sequence[str]) -> tuple[Path, ...]:
    """List the files of this project that an import runs."""
    names = []
    if isinstance(line, ast.Import):
        names = [alias.name for alias in line.names]
    elif isinstance(line, ast.ImportFrom):
        # `from . import x` starts from the package of the file, `from .. import x` one level up.
        above = package[: len(package) - line.level + 1] if line.level else ()
        module = ".".join([*above, *filter(None, [line.module])])
        names = [module, *(f"{module}.{alias.name}" for alias in line.names)]
    return tuple(dict.fromkeys(file for name in names for file in _locate_module(name)))


def _name_imported(line: ast.Import | ast.ImportFrom) -> str:
    """Return the names that an import binds; for `import a.b as c`, only `c`."""
    if isinstance(line, ast.Import):
        return ", ".join(
            alias.asname or alias.name
            if alias.name.startswith("emotrace")
            else f"{alias.name} as {alias.asname or alias.name}"
            for alias in line.names
        )
    return ", ".join(f"{alias.name} as {alias.asname or alias.name}" for alias in line.names)


def _locate_module(name: str) -> Iterator[Path]:
    """Yield the files that importing a module of this project runs: packages first."""
    parts = name.split(".")
    if parts[0] != "emotrace":
        return
    for length in range(1, len(parts) + 1):
        folder = ROOT.joinpath(*parts[:length])
        for file in (folder / "__init__.py", folder.with_suffix(".py")):
            if file.is_file():
                yield file
