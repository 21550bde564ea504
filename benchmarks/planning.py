"""How long planning takes, and how much memory: a finished run of many models, and a huge corpus.

    python benchmarks/planning.py

Nothing is extracted or trained: results are empty files that Snakemake is told to
take for finished. Every time is also given as a multiple of what Snakemake needs to
plan an empty workflow, because machines differ.
"""

from __future__ import annotations

import csv
import tempfile
import wave
from contextlib import chdir
from pathlib import Path
from typing import Any

from workflow import Usage, build_command, measure, plan_finished, plan_nothing, write_tables

from emotrace.config.loading import load_config
from emotrace.corpora.files import FILES
from emotrace.corpora.listing import ListedFile, list_files

FEATURE_SETS = ["compare", "chroma", "cqt", "chroma_cqt", "spectral"]
N_FILES = 10
"""Audio files that the clips of a corpus are links to."""


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
    return write_tables(folder, ids, suffix=".wav", n_frames=60)


def pretend_inspection(folder: Path, config: dict[str, Any]) -> None:
    """Note the files of a corpus as if they had been inspected."""
    with chdir(folder):
        corpus = load_config(config).corpus.load()
        FILES.parent.mkdir(parents=True)
        with FILES.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*ListedFile._fields, "sha256"])
            writer.writerows([*listed, ""] for listed in list_files(corpus))


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
    corpus = make_corpus(folder / "music", n_clips)
    config = {
        "corpus": corpus,
        "runs": [{"feature_sets": FEATURE_SETS, "models": models[:n_models]}],
        "evaluation": {"baseline": "LSTM_1"},
    }
    command = [*build_command(folder, config), "tables", "figures"]
    size = f"{n_clips} clips x {len(FEATURE_SETS)} sets x {n_models} models"
    compare(f"{size}, new", measure(*command, "--dry-run", cwd=folder), empty)
    pretend_inspection(folder, config)
    compare(f"{size}, finished", plan_finished(command, folder), empty)


def main() -> None:
    """Run all benchmarks."""
    empty = plan_nothing()
    compare("an empty workflow", empty, empty)
    with tempfile.TemporaryDirectory() as temporary:
        benchmark(Path(temporary) / "many models", 744, 40, empty)
        benchmark(Path(temporary) / "many clips", 100_000, 4, empty)


if __name__ == "__main__":
    main()
