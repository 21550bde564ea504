"""How long planning takes, and how much memory: a finished run of many models, and a huge corpus.

    python benchmarks/planning.py

Nothing is extracted or trained: results are empty files that Snakemake is told to
take for finished. Every time is also given as a multiple of what Snakemake needs to
plan an empty workflow, because machines differ.
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
import wave
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from emotrace.config import load_config  # noqa: E402
from emotrace.corpus.files import FILES  # noqa: E402
from emotrace.corpus.listing import ListedFile, list_files  # noqa: E402

FEATURE_SETS = ["compare", "chroma", "cqt", "chroma_cqt", "spectral"]
N_FILES = 10
"""Audio files that the clips of a corpus are links to."""


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


def make_corpus(folder: Path, n_clips: int) -> dict[str, Any]:
    """Write a corpus whose clips are links to a few files, and return its config."""
    folder.mkdir(parents=True)
    for number in range(N_FILES):
        with wave.open(str(folder / f"file {number}.wav"), "wb") as file:
            file.setparams((1, 2, 44_100, 0, "NONE", ""))
            file.writeframes(bytes([number]) * 44_100)
    ids = [f"{number:06}" for number in range(n_clips)]
    for number, clip_id in enumerate(ids):
        (folder / f"{clip_id}.wav").symlink_to(f"file {number % N_FILES}.wav")
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "artist", "split"])
        splits = ("development", "evaluation")
        writer.writerows([i, f"{i}.wav", f"artist {i}", splits[int(i) % 2]] for i in ids)
    with (folder / "annotations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "time_s", "arousal", "valence"])
        writer.writerows([i, frame / 2, 0.25, -0.25] for i in ids for frame in range(60))
    clips, annotations = folder / "clips.csv", folder / "annotations.csv"
    return {"name": "manifest", "clips": str(clips), "annotations": str(annotations)}


def pretend_results(folder: Path, snakemake: list[str], corpus: dict[str, Any]) -> None:
    """Put an empty file where each result would be, and let Snakemake take it for finished."""
    planned = measure(*snakemake, "--dry-run", cwd=folder).printed
    for names in re.findall(r"^    output: (.*)$", planned, flags=re.MULTILINE):
        for name in names.split(", "):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.name == "weights":
                path.mkdir()
            else:
                path.touch()
    with chdir(folder), FILES.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*ListedFile._fields, "sha256"])
        writer.writerows([*listed, ""] for listed in list_files(corpus))
    measure(*snakemake, "--touch", cwd=folder)


def compare(name: str, usage: Usage, empty: Usage) -> None:
    """Print what planning took, beside what planning nothing takes."""
    print(
        f"{name:<58} {usage.seconds:6.1f} s ({usage.seconds / empty.seconds:5.1f} x) "
        f"{usage.memory_mb:7.0f} MB",
        flush=True,
    )


def benchmark(folder: Path, n_clips: int, n_models: int, empty: Usage) -> None:
    """Time the planning of a new and of a finished run."""
    models = [f"{family}_{size}" for size in range(1, 21) for family in ("AT", "LSTM")]
    config = {
        "corpus": make_corpus(folder / "music", n_clips),
        "runs": [{"feature_sets": FEATURE_SETS, "models": models[:n_models]}],
        "evaluation": {"baseline": "LSTM_1"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    corpus = load_config(config).corpus.model_dump(mode="json")
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    snakemake += ["--cores", "2", "--directory", str(folder), "tables", "figures"]
    snakemake += ["--configfile", str(folder / "config.json")]
    size = f"{n_clips} clips x {len(FEATURE_SETS)} sets x {n_models} models"
    compare(f"{size}, new", measure(*snakemake, "--dry-run", cwd=folder), empty)
    pretend_results(folder, snakemake, corpus)
    usage = measure(*snakemake, "--dry-run", cwd=folder)
    if "Nothing to be done" not in usage.printed:
        sys.exit(f"expected nothing to be done:\n{usage.printed[-3000:]}")
    compare(f"{size}, finished", usage, empty)


def main() -> None:
    """Run all benchmarks."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "Snakefile").write_text("rule all:\n    input: []\n")
        snakemake = (sys.executable, "-m", "snakemake", "--dry-run")
        empty = min((measure(*snakemake, cwd=folder) for _ in range(3)), key=lambda u: u.seconds)
        compare("an empty workflow", empty, empty)
        benchmark(folder / "many models", 744, 40, empty)
        benchmark(folder / "many clips", 100_000, 4, empty)


if __name__ == "__main__":
    main()
