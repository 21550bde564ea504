"""Extraction divided among jobs, and clips that cannot be computed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.music import RATE, name_manifest, write_annotations, write_clips
from tests.workflow import copy_workflow, list_jobs, run_snakemake, succeed

pytestmark = pytest.mark.slow

N_CLIPS = 12
FATAL = "005"
ODD = "009"

FRAGILE = """
import os

import numpy as np

LIBRARIES = ("numpy",)


def column_names():
    return ("loudness",)


def extract_frames(sound):
    if sound.samples[0] == 0.75:
        os.abort()
    if sound.samples[0] == -0.75:
        raise ValueError("array is too odd", sound.samples[0])
    loudness = np.sqrt(np.mean(sound.samples**2))
    return np.full((sound.n_frames, 1), loudness, dtype=np.float32)
"""
"""A feature set whose library crashes on one clip, and raises an error on another."""


def write_music(folder: Path) -> dict[str, Any]:
    """Write a corpus of which two clips are too odd for the feature set."""
    folder.mkdir()
    random = np.random.default_rng(0)
    clips, labels = [], []
    for number in range(N_CLIPS):
        samples = random.normal(0, 0.02 + 0.01 * number, 3 * RATE).clip(-0.5, 0.5)
        clip_id = f"{number:03}"
        samples[0] = {FATAL: 0.75, ODD: -0.75}.get(clip_id, samples[0])
        soundfile.write(folder / f"{clip_id}.wav", samples, RATE, subtype="FLOAT")
        # The clip that is fatal is all that is learnt of the artist of the one before.
        artist = "artist 4" if clip_id == FATAL else f"artist {number}"
        clips.append((clip_id, artist, "evaluation" if number % 3 == 1 else "development"))
        labels += [(clip_id, time / 2, number / 12, -number / 12) for time in range(6)]
    write_clips(folder, clips)
    write_annotations(folder, labels)
    return name_manifest(folder, max_excluded=0.2)


def test_shards_fill_one_table_and_clips_that_fail_are_left_out(tmp_path: Path) -> None:
    workflow = copy_workflow(tmp_path / "workflow")
    (workflow / "emotrace/features/sets/fragile.py").write_text(FRAGILE)
    config = {
        "corpus": write_music(tmp_path / "music"),
        "runs": [{"feature_sets": ["fragile"], "models": ["LSTM_2"]}],
        "evaluation": {"feature_set": "fragile", "baseline": "LSTM_2", "bootstrap_samples": 100},
        "training": {"max_epochs": 1},
        "seeds": [1],
    }
    folder, shards = tmp_path / "run", ("--set-scatter", "extraction=3")
    jobs = list_jobs(succeed(run_snakemake(folder, "all", *shards, config=config, root=workflow)))
    assert {job for job in jobs if job.startswith("extract_shard")} == {
        f"extract_shard fragile {number}-of-3" for number in (1, 2, 3)
    }

    results = folder / "results"
    excluded = pd.read_csv(results / "features/fragile.excluded.csv", dtype="str")
    assert excluded["clip_id"].tolist() == [FATAL, ODD]
    assert "process that worked on it died" in excluded["reason"][0]
    assert excluded["reason"][1].startswith("ValueError: ('array is too odd', ")
    others = {f"{number:03}" for number in range(N_CLIPS)} - {FATAL, ODD}
    assert set(pd.read_parquet(results / "features/fragile.parquet")["clip_id"]) == others
    predicted = pd.read_parquet(results / "runs/fragile/LSTM_2/predictions.parquet")
    assert set(predicted["clip_id"]) == {"001", "004", "007", "010"}
    groups = pd.read_parquet(results / "groups.parquet").query("division == 'artist'")
    assert groups[["group", "n_clips"]].drop_duplicates().values.tolist() == [["unheard", 4]]
    assert "fragile could not be computed of 2 of the clips" in (results / "tables.html").read_text(
        encoding="utf-8"
    )

    # Each shard computed its part, and what puts the table together computed nothing.
    gathering = folder / "logs/extract_features/fragile.log"
    assert "left out" not in gathering.read_text()  # it does not try those clips again
    logs = [*folder.glob("logs/extract_shard/*.log"), gathering]
    counts = [re.findall(r"(\d+) computed, (\d+) reused", log.read_text())[0] for log in logs]
    assert sorted(counts) == [("0", "10"), ("3", "0"), ("3", "0"), ("4", "0")]

    explained = run_snakemake(folder, "explain", *shards, config=config, root=workflow)
    assert "Nothing to do" in succeed(explained)
