"""A made-up corpus, and training on it, small enough for a moment."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from emotrace import TARGETS
from emotrace.reruns.checksums import write_table
from emotrace.reruns.store import Store
from emotrace.splits.protocol import Protocol
from emotrace.training.fitting import Part
from emotrace.training.job import train_all
from emotrace.training.recipe import write_recipe
from emotrace.training.sequences import Sequences
from emotrace.training.settings import TrainingSettings

N_FEATURES = 6


# These models are so small that threads only wait for one another, for minutes on a busy machine.
torch.set_num_threads(1)


def make_settings(**changes: Any) -> TrainingSettings:
    plain = {"dropout": 0.0, "weight_decay": 0.0, "batch_size": 10, "max_epochs": 3}
    return TrainingSettings(**{**plain, **changes})


def make_part(n_clips: int, *, seed: int, noise: float = 0.0, length: int = 10) -> Part:
    """Plant a linear rule: features that differ between clips more than they move within."""
    random = np.random.default_rng(seed)
    shape = (n_clips, length, N_FEATURES)
    features = random.normal(size=(n_clips, 1, N_FEATURES)) + 0.3 * random.normal(size=shape)
    labels = features @ np.array([0.3, -0.2, 0.1, 0.0, 0.0, 0.0])
    labels += noise * random.normal(size=labels.shape)
    return Part(
        torch.tensor(features, dtype=torch.float32),
        torch.ones(shape[:2], dtype=torch.bool),
        torch.tensor(labels, dtype=torch.float32),
    )


Corpus = tuple[Sequences, pd.DataFrame]


def make_corpus(n_clips: int = 16) -> Corpus:
    """Make up clips of 5 to 8 frames; two clips per artist, every fourth is evaluated."""
    random = np.random.default_rng(6)
    lengths = 5 + np.arange(n_clips) % 4
    shape = (n_clips, 8)
    valid = np.arange(8) < lengths[:, None]
    clip_ids = [f"clip {number:02}" for number in range(n_clips)]
    sequences = Sequences(
        clip_ids=clip_ids,
        times=np.where(valid, 15 + 0.5 * np.arange(8), 0.0),
        valid=valid,
        features=np.where(valid[..., None], random.normal(3, 2, (*shape, N_FEATURES)), 0.0).astype(
            np.float32
        ),
        labels=np.where(valid[..., None], random.uniform(-1, 1, (*shape, 2)), 0.0).astype(
            np.float32
        ),
    )
    clips = pd.DataFrame(
        {
            "clip_id": clip_ids,
            "artist": [f"artist {number // 2}" for number in range(n_clips)],
            "split": np.where(np.arange(n_clips) % 4, "development", "evaluation"),
            "sha256": clip_ids,
            "samples_sha256": clip_ids,
        }
    )
    return sequences, clips


def write_inputs(folder: Path) -> None:
    """Write ``table.parquet`` and a corpus as a training job finds them."""
    sequences, clips = make_corpus()
    frames = sequences.valid
    keys = {
        "clip_id": np.repeat(sequences.clip_ids, frames.sum(axis=1)),
        "time_s": sequences.times[frames],
    }
    features = dict(enumerate(sequences.features[frames].T))
    table = pa.table(keys | {f"feature {number}": values for number, values in features.items()})
    about = {"emotrace": json.dumps({"name": "made_up"})}
    write_table(table.replace_schema_metadata(about), folder / "table.parquet")
    labels = dict(zip(TARGETS, sequences.labels[frames].T, strict=True))
    write_table(pa.table(keys | labels), folder / "annotations.parquet")
    write_table(clips, folder / "clips.parquet")


def train(
    folder: Path,
    corpus: Corpus,
    *,
    name: str = "AT_4",
    protocol: str = "official",
    seeds: tuple[int, ...] = (1,),
    store: Path | None = None,
    code: str | None = None,
    **settings: object,
) -> pd.DataFrame:
    """Train with a store of its own, so that nothing is taken from elsewhere unless asked for."""
    made = make_settings(**{"dropout": 0.2, "max_epochs": 2, **settings})
    recipe = write_recipe(name, asdict(made), new_torch_retrains=False)
    digest = train_all(
        *corpus,
        recipe=replace(recipe, code=code or recipe.code),
        protocol=Protocol(protocol, 3, 0.3),
        seeds=seeds,
        feature_set="made_up",
        store=Store(store or folder / "store", folder),
        folder=folder,
        threads=1,
        gpu_slots=1,
    )
    (folder / "run.digest").write_text(digest, encoding="utf-8")
    return pd.read_parquet(folder / "predictions.parquet")


def lengthen_padding(sequences: Sequences) -> Sequences:
    """Pad every clip by three frames more, and fill all padding with what would do harm."""
    longer = ((0, 0), (0, 3))
    valid = np.pad(sequences.valid, longer)
    values = {
        name: np.where(valid[..., None], np.pad(getattr(sequences, name), (*longer, (0, 0))), 50)
        for name in ("features", "labels")
    }
    return Sequences(
        clip_ids=sequences.clip_ids,
        times=np.pad(sequences.times, longer),
        valid=valid,
        **{name: array.astype(np.float32) for name, array in values.items()},
    )


def read_run(folder: Path) -> dict[str, bytes]:
    """Return all that a run leaves, but not its store."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in names.items() if not name.startswith("store/")}


def list_entries(store: Path) -> list[Path]:
    return sorted(path for path in store.glob("fits/*/*/*/*") if path.suffix != ".safetensors")
