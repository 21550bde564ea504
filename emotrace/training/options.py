"""Read the command line of ``python -m emotrace.training``.

Types, ranges, defaults and descriptions come from ``config.schema.json``, which is generated from
`emotrace.config.schema`. They are therefore written only once, and pydantic is not needed.
"""

from __future__ import annotations

import argparse
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from emotrace.config.suggestions import explain_model, shorten
from emotrace.models.families import parse_model_name
from emotrace.reruns.code import ROOT
from emotrace.runtime.errors import EmotraceError

PROGRAM = "python -m emotrace.training"

KEYS = ("seeds", "store", "gpu_slots", "new_torch_retrains")
"""Keys of the config that are options in addition to the blocks protocol and training."""

BOUNDS = {
    "minimum": (operator.ge, "at least"),
    "exclusiveMinimum": (operator.gt, "above"),
    "maximum": (operator.le, "at most"),
    "exclusiveMaximum": (operator.lt, "below"),
}
"""Limits of numbers in the schema: how to check them, and how to describe them."""


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command-line arguments; by default, those of this process.

    Returns
    -------
    argparse.Namespace
        ``model``, ``table``, ``corpus``, ``folder``, ``threads``; the config's ``seeds``,
        ``store``, ``gpu_slots`` and ``new_torch_retrains``; and ``protocol`` and
        ``training``, dicts that equal the config's blocks.

    Raises
    ------
    SystemExit
        If an option is wrong; the message includes a hint.
    EmotraceError
        If the schema is missing.
    """
    schema = _read_schema()
    protocol = schema["$defs"]["ProtocolSettings"]["properties"]
    training = schema["$defs"]["TrainingSettings"]["properties"]

    parser = _Parser(
        prog=PROGRAM,
        usage="%(prog)s MODEL TABLE --folder FOLDER [OPTION ...]",
        description="Train one model on one feature table, as the workflow's training job does.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    _add_inputs(parser)
    for key in KEYS:
        _add_option(parser, key, schema["properties"][key])
    group = parser.add_argument_group("protocol")
    for key, field in protocol.items():
        _add_option(group, "protocol" if key == "name" else key, field, dest=key)
    group = parser.add_argument_group("training")
    for key, field in training.items():
        _add_option(group, key, field)

    options = vars(parser.parse_args(arguments))
    blocks = {
        name: {key: options.pop(key) for key in block}
        for name, block in {"protocol": protocol, "training": training}.items()
    }
    return argparse.Namespace(**options, **blocks)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report an error without the usage text, which would fill a screen."""
        self.exit(2, f"{self.prog}: {message}\nhint: --help explains every option\n")


def _read_schema() -> dict[str, Any]:
    path = ROOT / "config.schema.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EmotraceError(
            f"{path}: is missing, and says what can be set",
            hint="start the command in a copy of the whole repository",
        ) from None


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=_read_model, help="A family and its sizes, such as AT_64.")
    parser.add_argument(
        "table", type=Path, help="A feature table, such as results/features/compare.parquet."
    )
    parser.add_argument(
        "--corpus",
        type=Path,
        default=Path("results/corpus"),
        help="Where clips.parquet and annotations.parquet lie.",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        required=True,
        default=argparse.SUPPRESS,
        help="Receives the run; below the working folder.",
    )
    threads = {"type": "integer", "minimum": 1, "default": 1, "description": "Threads of the CPU."}
    _add_option(parser, "threads", threads)


def _add_option(
    parser: argparse._ActionsContainer,
    key: str,
    field: Mapping[str, Any],
    dest: str | None = None,
) -> None:
    """Add an option for a key of the schema; `dest` is its attribute if the name differs."""
    rest: dict[str, Any]
    if field["type"] == "boolean":
        rest = {"action": argparse.BooleanOptionalAction}
    elif field["type"] == "array":
        rest = {"nargs": "+", "type": _make_reader(field["items"])}
    elif "enum" in field:
        rest = {"choices": field["enum"]}
    else:
        rest = {"type": _make_reader(field)}
    parser.add_argument(
        f"--{key.replace('_', '-')}",
        dest=dest or key,
        default=field["default"],
        help=field["description"].replace("%", "%%"),
        **rest,
    )


def _make_reader(field: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return a function that parses a value according to `field` of the schema."""
    kind = {"integer": int, "number": float, "string": str}[field["type"]]

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            found = shorten(text)
            raise argparse.ArgumentTypeError(f"{found} is not a valid {field['type']}") from None
        for key, (holds, words) in BOUNDS.items():
            if key in field and not holds(value, field[key]):
                raise argparse.ArgumentTypeError(f"{text} is not {words} {field[key]}")
        return value

    return read


def _read_model(name: str) -> str:
    try:
        parse_model_name(name)
    except ValueError:
        raise argparse.ArgumentTypeError(explain_model(name)) from None
    return name
