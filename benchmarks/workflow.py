"""The workflow as benchmarks start it: on a corpus made up for them, and measured.

To be imported before anything of emotrace, which it makes importable.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SNAKEMAKE = [sys.executable, "-m", "snakemake"]


@dataclass(frozen=True)
class Usage:
    """What a command took."""

    seconds: float
    memory_mb: float
    printed: str


def measure(*command: str, cwd: Path) -> Usage:
    """Run a command and return its time, the peak of its memory, and what it printed."""
    with tempfile.TemporaryFile("w+") as printed:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdout=printed, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        printed.seek(0)
        text = printed.read()
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{text[-3000:]}")
    return Usage(seconds, used.ru_maxrss / 1000, text)


def plan_nothing() -> Usage:
    """Measure how an empty workflow is planned, the best of three times."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "Snakefile").write_text("rule all:\n    input: []\n")
        tries = [measure(*SNAKEMAKE, "--dry-run", cwd=folder) for _ in range(3)]
    return min(tries, key=lambda usage: usage.seconds)


def write_tables(
    folder: Path, clip_ids: Sequence[str], *, suffix: str, n_frames: int
) -> dict[str, Any]:
    """Write the two tables of a corpus whose audio lies beside them, and return its config."""
    clips, annotations = folder / "clips.csv", folder / "annotations.csv"
    with clips.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "artist", "split"])
        splits = ("development", "evaluation")
        writer.writerows([i, i + suffix, f"artist {i}", splits[int(i) % 2]] for i in clip_ids)
    with annotations.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "time_s", "arousal", "valence"])
        frames = [(frame / 2, frame / n_frames, -frame / n_frames) for frame in range(n_frames)]
        writer.writerows([i, *frame] for i in clip_ids for frame in frames)
    return {"name": "manifest", "clips": str(clips), "annotations": str(annotations)}


def build_command(folder: Path, config: dict[str, Any]) -> list[str]:
    """Return the command that runs the workflow in a folder; what to make comes after it."""
    overlay = folder / "config.json"
    overlay.write_text(json.dumps(config))
    return [
        *(*SNAKEMAKE, "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(overlay)),
        *("--directory", str(folder), "--cores", "all"),
    ]


def plan_finished(command: list[str], folder: Path) -> Usage:
    """Measure how a run is planned of which nothing is left to be done."""
    _pretend_results(command, folder)
    usage = measure(*command, "--dry-run", cwd=folder)
    if "Nothing to be done" not in usage.printed:
        sys.exit(f"expected nothing to be done:\n{usage.printed[-3000:]}")
    return usage


def _pretend_results(command: list[str], folder: Path) -> None:
    """Put an empty file where a result is missing, and let Snakemake take it for finished."""
    planned = measure(*command, "--dry-run", cwd=folder).printed
    for names in re.findall(r"^    output: (.*)$", planned, flags=re.MULTILINE):
        for name in names.split(", "):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.name == "weights":
                path.mkdir()
            else:
                path.touch()
    measure(*command, "--touch", cwd=folder)
