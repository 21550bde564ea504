"""A finished run to be changed, and the changes: what the tests of reruns share."""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from tests.music import RATE, write_annotations, write_clips
from tests.workflow import run_snakemake, succeed

N_CLIPS = 12

CONFIG: dict[str, Any] = {
    "experiment": "reruns",
    "corpus": {
        "name": "manifest",
        "clips": "music/clips.csv",
        "annotations": "music/annotations.csv",
        "annotation_scale": [1, 9],
    },
    "runs": [
        {"feature_sets": ["chroma"], "models": ["LSTM_2", "AT_2"]},
        {"feature_sets": ["compare"], "models": ["AT_2"]},
    ],
    "seeds": [1],
    "training": {"max_epochs": 1},
    "evaluation": {"feature_set": "chroma", "baseline": "LSTM_2", "bootstrap_samples": 100},
}

CORPUS = {"inspect_audio", "build_corpus"}
EXTRACTIONS = {"extract_features chroma", "extract_features compare"}
TRAININGS = {"train_model chroma LSTM_2", "train_model chroma AT_2", "train_model compare AT_2"}
BASELINES = {"fit_baselines chroma", "fit_baselines compare"}
TABLES = {"evaluate_models", "build_tables"}
FIGURES = {"plot_curves", "plot_error_histograms", "plot_attention_maps AT"}
FIGURES |= {"plot_attended_frames", "plot_chromagrams"}
ON_COMPARE = {"train_model compare AT_2", "fit_baselines compare"}
DRAWING = {"choose_examples", *FIGURES}
"""Only the feature set chroma is drawn."""

EVERYTHING = CORPUS | EXTRACTIONS | TRAININGS | BASELINES | TABLES | DRAWING


@dataclass
class Bench:
    """A working folder, the workflow it is run with, and the config.

    Parameters
    ----------
    folder : Path
        The working folder; its corpus lies in ``music``.
    workflow : Path
        A clone of the repository.
    config : dict
    packages : Path
        Packages here hide those installed.
    """

    folder: Path
    workflow: Path
    config: dict[str, Any]
    packages: Path

    def run(self, *arguments: str) -> str:
        """Run the workflow and return what it printed."""
        arguments = arguments or ("tables", "figures")
        return succeed(
            run_snakemake(
                self.folder,
                *arguments,
                # As if all but the digests were large, so that no checksum hides a time stamp.
                *("--max-checksum-file-size", "1000"),
                config=self.config,
                root=self.workflow,
                packages=self.packages,
            )
        )

    def count(self) -> dict[str, tuple[int, int]]:
        """Return what each job of the last run made anew, and what it took from the store."""
        counts = {}
        for log in self.folder.glob("logs/*/*.log"):
            found = re.search(r"(\d+) (?:computed|fits made), (\d+) reused", log.read_text())
            if found:
                counts[log.stem] = (int(found[1]), int(found[2]))
        return counts


def write_music(folder: Path) -> None:
    """Write 22 clips of equal length and size; the first 12 are listed."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(22):
        tone = np.sin(np.arange(3 * RATE) * (0.02 + 0.003 * number))
        samples = 0.3 * tone + random.normal(0, 0.05, len(tone))
        soundfile.write(folder / f"{number:02}.wav", samples, RATE, subtype="PCM_16")
    list_clips(folder, range(N_CLIPS))
    rows = [
        (f"{number:02}", frame / 2, 1 + (7 * number + frame) % 9, 1 + (5 * number + frame) % 9)
        for number in range(22)
        for frame in range(6)
    ]
    write_annotations(folder, rows)


def list_clips(folder: Path, numbers: range) -> None:
    rows = [
        (f"{n:02}", f"artist {n // 2}", "evaluation" if n % 3 else "development") for n in numbers
    ]
    write_clips(folder, rows)


# Nothing is to be done.


def change_nothing(bench: Bench) -> None:
    pass


def reverse_time_stamps(folder: Path) -> None:
    """Make the newest file the oldest, so that whatever is made seems older than what it is of."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for seconds, file in enumerate(files, start=round(time.time()) - len(files)):
        os.utime(file, (seconds, seconds))


def touch_everything(bench: Bench) -> None:
    reverse_time_stamps(bench.folder.parent)


def copy_results_to_a_fresh_clone(bench: Bench) -> None:
    for name in ("logs", "resources", "store"):
        shutil.rmtree(bench.folder / name, ignore_errors=True)
    moved = bench.folder.rename(bench.folder.parent / "elsewhere")
    bench.folder = moved
    reverse_time_stamps(moved)


def comment_every_module(bench: Bench) -> None:
    for folder in ("emotrace", "workflow_scripts"):
        for file in (bench.workflow / folder).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            text = re.sub(r'\A"""', '"""Rewritten. ', text).replace(" = ", "  =  ", 1)
            file.write_text(f"{text}\n\n# A remark.\n", encoding="utf-8")


def reword_errors_hints_and_docstrings(bench: Bench) -> None:
    edit(bench, "emotrace/audio/decoding.py", "it is not the file that it was", "it was replaced")
    edit(bench, "emotrace/audio/decoding.py", 'hint="convert it', 'hint="please convert it')
    edit(bench, "emotrace/models/families.py", "takes {most}", "cannot have more than {most}")
    edit(bench, "emotrace/training/fold.py", "Fit one model on one fold", "Fit a model")


def move_a_module(bench: Bench) -> None:
    package = bench.workflow / "emotrace/grid"
    package.mkdir()
    (package / "__init__.py").write_text('"""The grid of frames."""\n', encoding="utf-8")
    (bench.workflow / "emotrace/audio/frames.py").rename(package / "frames.py")
    for file in bench.workflow.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("emotrace.audio.frames", "emotrace.grid.frames"), "utf-8")


def write_the_config_otherwise(bench: Bench) -> None:
    config = {key: CONFIG[key] for key in reversed(CONFIG)}
    config["corpus"] = {
        "annotation_scale": [1.0, 9.0],
        "max_excluded": 0.05,
        **{key: CONFIG["corpus"][key] for key in ("annotations", "clips", "name")},
    }
    config["training"] = {"dropout": 0.50, "max_epochs": 1.0}
    config["features"] = {"overrides": {"compare": {"window_s": 0.5}}, "hop_s": 0.5}
    config["overrides"] = {"AT": {"batch_size": 5}}
    bench.config = config


# Features.


def edit(bench: Bench, file: str, old: str, new: str) -> None:
    path = bench.workflow / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


COMPARE = "emotrace/features/sets/compare.py"


def change_values_of_compare(bench: Bench) -> None:
    edit(bench, COMPARE, "[: sound.n_frames]", "[: sound.n_frames] % 10")


def rewrite_compare_alike(bench: Bench) -> None:
    edit(bench, COMPARE, "[: sound.n_frames]", "[: sound.n_frames] * 1")


def widen_windows_of_compare(bench: Bench) -> None:
    bench.config["features"] = {"overrides": {"compare": {"window_s": 1.0}}}


def pretend_version(bench: Bench, package: str) -> None:
    folder = bench.packages / f"{package}-99.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 99\n")


def update_opensmile(bench: Bench) -> None:
    pretend_version(bench, "opensmile")


def update_librosa(bench: Bench) -> None:
    pretend_version(bench, "librosa")


# The corpus.


def add_ten_clips_and_remove_one(bench: Bench) -> None:
    list_clips(bench.folder / "music", range(1, 22))


def replace_a_file(bench: Bench) -> None:
    """Replace the audio of a clip that models hear by some of the same size that is older."""
    music = bench.folder / "music"
    shutil.copyfile(music / "21.wav", music / "06.wav")
    os.utime(music / "06.wav", (0, 0))


def change_annotation(bench: Bench) -> None:
    """Change the arousal of a clip that models are fitted on or stopped by."""
    path = bench.folder / "music/annotations.csv"
    annotations = pd.read_csv(path, dtype={"clip_id": "str"})
    annotations.loc[annotations["clip_id"] == "06", "arousal"] = 5
    annotations.to_csv(path, index=False)


def change_annotation_scale(bench: Bench) -> None:
    bench.config["corpus"] = CONFIG["corpus"] | {"annotation_scale": [0, 10]}


def change_splits(bench: Bench) -> None:
    path = bench.folder / "music/clips.csv"
    clips = pd.read_csv(path, dtype={"clip_id": "str"})
    clips.loc[0, "split"] = "evaluation"
    clips.to_csv(path, index=False)


# Training.


def change_protocol(bench: Bench) -> None:
    bench.config["protocol"] = {"name": "artist", "folds": 2}


def add_model(bench: Bench) -> None:
    """Add a family of its own, as the README says."""
    models = bench.workflow / "emotrace/models"
    shutil.copyfile(models / "LSTM.py", models / "Mine.py")
    first, second = CONFIG["runs"]
    bench.config["runs"] = [first, second | {"models": ["AT_2", "Mine_2"]}]


def change_hyperparameter(bench: Bench) -> None:
    bench.config["overrides"] = {"LSTM_2": {"dropout": 0.1}}


def add_seed(bench: Bench) -> None:
    bench.config["seeds"] = [1, 2]


def update_torch(bench: Bench) -> None:
    pretend_version(bench, "torch")


# Results.


def add_logic(bench: Bench, file: str) -> None:
    path = bench.workflow / file
    path.write_text(path.read_text(encoding="utf-8") + "\n\nADDED = 1\n", encoding="utf-8")


def change_model(bench: Bench) -> None:
    add_logic(bench, "emotrace/models/AT.py")


def change_metric(bench: Bench) -> None:
    add_logic(bench, "emotrace/evaluation/metrics.py")


def change_facts(bench: Bench) -> None:
    edit(bench, "emotrace/models/AT.py", "with uniform weights", "without weights")


def change_table(bench: Bench) -> None:
    add_logic(bench, "emotrace/evaluation/rendering.py")


def change_figure(bench: Bench) -> None:
    add_logic(bench, "emotrace/figures/curves.py")


RETRAINED = {"chroma_LSTM_2": (2, 0), "chroma_AT_2": (2, 0), "compare_AT_2": (2, 0)}
