"""Runs of the workflow as a user would start them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def run_snakemake(
    directory: Path, *arguments: str, config: dict[str, Any] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the workflow in a working directory of its own, with a config overlaid."""
    directory.mkdir(parents=True, exist_ok=True)
    if config is not None:
        overlay = directory / "overlay.yaml"
        overlay.write_text(json.dumps(config), encoding="utf-8")
        arguments = (*arguments, "--configfile", str(overlay))
    return subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--cores", "2", "--directory", str(directory), *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(completed: subprocess.CompletedProcess[str]) -> str:
    """Return what a run printed, after it ended well."""
    printed = completed.stdout + completed.stderr
    assert completed.returncode == 0, printed[-6000:]
    return printed
