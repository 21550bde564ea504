"""After whatever happened, the tables are those of a fresh run.

``EMOTRACE_SOAK=100 .venv/bin/python -m pytest tests/test_soak.py -rP`` goes on for 100 steps.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.bench import reverse_time_stamps, write_music
from tests.workflow import run_snakemake

pytestmark = pytest.mark.slow

STEPS = int(os.environ.get("EMOTRACE_SOAK", "2"))
SEED = int(os.environ.get("EMOTRACE_SOAK_SEED", "1"))

N_CLIPS = 12
TABLES = ("tables.tex", "tables.csv", "tables.html", "comparisons.csv", "groups.csv")

CONFIG: dict[str, Any] = {
    "corpus": {
        "name": "manifest",
        "clips": "music/clips.csv",
        "annotations": "music/annotations.csv",
        "annotation_scale": [1, 9],
    },
    "runs": [{"feature_sets": ["chroma"], "models": ["LSTM_2", "AT_2"]}],
    "seeds": [1],
    "training": {"max_epochs": 1},
    "protocol": {"name": "official"},
    "evaluation": {"feature_set": "chroma", "baseline": "LSTM_2", "bootstrap_samples": 100},
}


@dataclass
class Experiment:
    """All that the tables depend on.

    Parameters
    ----------
    config : dict
    clips : dict
        By ``clip_id``: which of the pieces of music it is, the artist and the split.
    labels : dict
        By ``clip_id``: what is added to its annotations of arousal.
    """

    config: dict[str, Any]
    clips: dict[str, tuple[int, str, str]]
    labels: dict[str, int]

    def __str__(self) -> str:
        return json.dumps(vars(self), sort_keys=True)

    def write(self, folder: Path, music: Path) -> None:
        """Write music and annotations of the experiment into a working folder."""
        (folder / "music").mkdir(parents=True, exist_ok=True)
        rows = []
        for clip_id, (piece, artist, split) in self.clips.items():
            source, path = music / f"{piece:02}.wav", folder / f"music/{clip_id}.wav"
            if not path.exists() or path.read_bytes() != source.read_bytes():
                shutil.copyfile(source, path)
            rows.append((clip_id, path.name, artist, split))
        clips = pd.DataFrame(rows, columns=["clip_id", "path", "artist", "split"])
        clips.to_csv(folder / "music/clips.csv", index=False)
        annotations = pd.read_csv(music / "annotations.csv", dtype={"clip_id": "str"})
        annotations["arousal"] += annotations["clip_id"].map(self.labels).fillna(0)
        annotations["arousal"] = (annotations["arousal"] - 1) % 9 + 1
        annotations.to_csv(folder / "music/annotations.csv", index=False)


def start_experiment() -> Experiment:
    clips = {
        f"{n:02}": (n, f"artist {n // 2}", "evaluation" if n % 3 else "development")
        for n in range(N_CLIPS)
    }
    return Experiment(copy.deepcopy(CONFIG), clips, {})


# What changes the experiment.

Draw = random.Random


def change_seeds(experiment: Experiment, draw: Draw) -> None:
    experiment.config["seeds"] = draw.sample([1, 2, 3], draw.choice([1, 2]))


def change_models(experiment: Experiment, draw: Draw) -> None:
    others = draw.sample(["AT_2", "BAT_2", "TwoLevel_2", "Transformer_1"], draw.choice([1, 2]))
    experiment.config["runs"] = [{"feature_sets": ["chroma"], "models": ["LSTM_2", *others]}]


def change_epochs(experiment: Experiment, draw: Draw) -> None:
    experiment.config["training"] = {"max_epochs": draw.choice([1, 2])}


def change_dropout(experiment: Experiment, draw: Draw) -> None:
    experiment.config["overrides"] = {"LSTM_2": {"dropout": draw.choice([0.1, 0.3, 0.5])}}


def change_protocol(experiment: Experiment, draw: Draw) -> None:
    protocols = [("official", 10), ("artist", 2), ("paper", 2)]
    name, folds = draw.choice(protocols)
    experiment.config["protocol"] = {"name": name, "folds": folds}


def change_window(experiment: Experiment, draw: Draw) -> None:
    experiment.config["features"] = {"window_s": draw.choice([0.5, 1.0])}


def change_annotation_scale(experiment: Experiment, draw: Draw) -> None:
    experiment.config["corpus"]["annotation_scale"] = draw.choice([[1, 9], [0, 10]])


def change_label(experiment: Experiment, draw: Draw) -> None:
    experiment.labels[draw.choice(list(experiment.clips))] = draw.randint(1, 8)


def change_clip(experiment: Experiment, draw: Draw, place: int, values: list[Any]) -> None:
    clip_id = draw.choice(list(experiment.clips))
    clip = list(experiment.clips[clip_id])
    clip[place] = draw.choice(values)
    experiment.clips[clip_id] = tuple(clip)


def replace_audio(experiment: Experiment, draw: Draw) -> None:
    """Take music that no clip has: equal audio on both sides of a fold is another matter."""
    taken = {piece for piece, _, _ in experiment.clips.values()}
    change_clip(experiment, draw, 0, [piece for piece in range(22) if piece not in taken])


def change_artist(experiment: Experiment, draw: Draw) -> None:
    change_clip(experiment, draw, 1, [f"artist {number}" for number in range(N_CLIPS // 2)])


def change_split(experiment: Experiment, draw: Draw) -> None:
    change_clip(experiment, draw, 2, ["development", "evaluation"])


CHANGES: list[Callable[[Experiment, Draw], None]] = [
    *(change_seeds, change_models, change_epochs, change_dropout, change_protocol),
    *(change_window, change_annotation_scale, change_label),
    *(replace_audio, change_artist, change_split),
]


# What happens to a working folder and its store; each says what it was.


def list_files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def touch(folder: Path, draw: Draw) -> str:
    reverse_time_stamps(folder)
    return "time stamps reversed"


def forget(folder: Path, draw: Draw) -> str:
    shutil.rmtree(folder / ".snakemake", ignore_errors=True)
    return "no .snakemake"


def delete_one(folder: Path, draw: Draw, pattern: str) -> str:
    files = list_files(folder, pattern)
    if not files:
        return "nothing to delete"
    (file := draw.choice(files)).unlink()
    return f"{file.relative_to(folder)} deleted"


def delete_result(folder: Path, draw: Draw) -> str:
    return delete_one(folder, draw, "results/**/*")


def delete_results(folder: Path, draw: Draw) -> str:
    """Everything is to be taken from the store again, with whatever was done to it."""
    shutil.rmtree(folder / "results", ignore_errors=True)
    return "results deleted"


def delete_entry(folder: Path, draw: Draw) -> str:
    kind = draw.choice(["inspections", "features", "fits"])
    return delete_one(folder, draw, f"store/{kind}/**/*")


def flip_bits(folder: Path, draw: Draw, pattern: str) -> str:
    """Flip a bit of each of up to eight files, so that one is likely to be read again."""
    files = list_files(folder, pattern)
    for file in draw.sample(files, min(8, len(files))):
        content = bytearray(file.read_bytes())
        place = draw.randrange(len(content))
        content[place] ^= 1 << draw.randrange(8)
        # Results may be hard links to an entry, and keep what they hold.
        file.unlink()
        file.write_bytes(content)
    return f"bits flipped in {pattern}"


def damage_inspections(folder: Path, draw: Draw) -> str:
    return flip_bits(folder, draw, "store/inspections/*/*/*/*")


def damage_features(folder: Path, draw: Draw) -> str:
    return flip_bits(folder, draw, "store/features/*/*/*/*")


def damage_fits(folder: Path, draw: Draw) -> str:
    return flip_bits(folder, draw, "store/fits/*/*/*/*")


def damage_feature_table(folder: Path, draw: Draw) -> str:
    return flip_bits(folder, draw, "results/features/*.parquet")


def damage_records(folder: Path, draw: Draw) -> str:
    return flip_bits(folder, draw, "results/**/*.made_with.json") + "; " + forget(folder, draw)


EVENTS: list[Callable[[Path, Draw], str]] = [
    *(touch, forget, delete_result, delete_results, delete_entry),
    *(damage_inspections, damage_features, damage_fits, damage_feature_table, damage_records),
]


def make_tables(folder: Path, experiment: Experiment) -> dict[str, bytes]:
    """Run the workflow and read its tables."""
    completed = run_snakemake(folder, "tables", config=experiment.config)
    if completed.returncode:
        # A table of features that is refused as damaged is deleted, as the error says.
        said, _, _ = completed.stderr.partition("Error in rule")
        for file in list_files(folder, "results/features/*.parquet"):
            if f"{file.relative_to(folder)}: " in said:
                file.unlink()
        completed = run_snakemake(folder, "features", "tables", config=experiment.config)
    assert completed.returncode == 0, (completed.stdout + completed.stderr)[-4000:]
    return {name: (folder / "results" / name).read_bytes() for name in TABLES}


def test_tables_equal_those_of_a_fresh_run_after_random_changes(tmp_path: Path) -> None:
    music, folder, draw = tmp_path / "music", tmp_path / "soaked", random.Random(SEED)
    write_music(music)
    experiment = start_experiment()
    experiment.write(folder, music)
    expected = {str(experiment): make_tables(folder, experiment)}
    seen = [copy.deepcopy(experiment)]
    for step in range(1, STEPS + 1):
        happened = [event(folder, draw) for event in draw.sample(EVENTS, 3)]
        if step % 2:
            for change in (changes := draw.sample(CHANGES, 3)):
                change(experiment, draw)
            happened += [change.__name__ for change in changes]
            seen.append(copy.deepcopy(experiment))
        else:
            experiment = copy.deepcopy(draw.choice(seen[:-1]))
            happened.append("back to an earlier experiment")
        print(f"step {step}: {'; '.join(happened)}", flush=True)
        experiment.write(folder, music)
        if (key := str(experiment)) not in expected:
            experiment.write(fresh := tmp_path / f"fresh {step}", music)
            expected[key] = make_tables(fresh, experiment)
            shutil.rmtree(fresh)
        assert make_tables(folder, experiment) == expected[key], f"step {step}, seed {SEED}"
