"""Runs of the workflow as a user would start them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

PARTS = ("Snakefile", "config.yaml", "emotrace", "envs", "profiles", "report", "rules")
PARTS += ("workflow_scripts",)


def build_command(
    directory: Path, *arguments: str, config: dict[str, Any] | None = None, root: Path = ROOT
) -> list[str]:
    """Return the command that runs the workflow at `root` in a working directory of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    if config is not None:
        overlay = directory / "overlay.yaml"
        overlay.write_text(json.dumps(config), encoding="utf-8")
        arguments = (*arguments, "--configfile", str(overlay))
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")),
        *("--cores", "2", "--directory", str(directory), *arguments),
    ]


def run_snakemake(
    directory: Path,
    *arguments: str,
    config: dict[str, Any] | None = None,
    root: Path = ROOT,
    packages: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the workflow; packages in a folder of that name hide those installed."""
    return subprocess.run(
        build_command(directory, *arguments, config=config, root=root),
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env=os.environ if packages is None else os.environ | {"PYTHONPATH": str(packages)},
    )


def succeed(completed: subprocess.CompletedProcess[str]) -> str:
    """Return what a run printed, after it ended well."""
    printed = completed.stdout + completed.stderr
    assert completed.returncode == 0, printed[-6000:]
    return printed


def list_jobs(printed: str) -> list[str]:
    """List the jobs of a run, or of a dry run, as "rule wildcard wildcard"; milestones left out.

    This reads what Snakemake prints for people, and so does not depend on the code under test.
    """
    jobs = []
    blocks = re.split(r"^(?:local)?(?:rule|checkpoint) (\w+):$", printed, flags=re.MULTILINE)
    for rule, block in zip(blocks[1::2], blocks[2::2], strict=True):
        fields = dict(re.findall(r"^    (\w+): (.*)$", block.partition("\n[")[0], re.MULTILINE))
        if "output" in fields:
            jobs.append(" ".join([rule, *re.findall(r"=([^,]+)", fields.get("wildcards", ""))]))
    return jobs


def copy_workflow(folder: Path) -> Path:
    """Copy the workflow, as a clone of the repository would have it."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / part, folder / part)
    return folder
