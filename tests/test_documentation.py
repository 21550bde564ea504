"""Commands that the documentation shows are understood as they are meant."""

from __future__ import annotations

import re
import shlex

import pytest
from snakemake.cli import parse_args

from tests.workflow import ROOT

SHOWN_IN = ("*.md", "docs/*.md", "profiles/*/profile.yaml", "experiments/*.yaml", "Makefile")

TARGETS = {"all", "corpus", "features", "models", "tables", "figures", "explain", "clean_store"}
TARGETS |= {"results/tables.tex"}


def list_commands() -> list[str]:
    """List the options and targets of each command."""
    files = [path for pattern in SHOWN_IN for path in sorted(ROOT.glob(pattern))]
    texts = [file.read_text(encoding="utf-8").replace("\\\n", " ") for file in files]
    shown = re.compile(r"(?:\$ |#   |\$\(BIN\)/|`)snakemake ([^`\n]*)")
    return sorted({command for text in texts for command in shown.findall(text)})


@pytest.mark.parametrize("command", list_commands())
def test_no_option_takes_a_target_for_its_own(command: str) -> None:
    words = shlex.split(command.replace("--cores all", "--cores 16"), comments=True)
    _, options = parse_args(words)
    assert (options.targets or []) == [word for word in words if word in TARGETS]


def test_commands_are_found() -> None:
    commands = "\n".join(list_commands())
    for option in ("--resources", "--workflow-profile", "--sdm", "--config ", "--unlock"):
        assert option in commands
