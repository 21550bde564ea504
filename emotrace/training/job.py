"""Run one training job: every seed, fold and target of a model on a feature set."""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from emotrace import TARGETS
from emotrace.models.families import parse_model_name
from emotrace.reruns.checksums import seal_table
from emotrace.reruns.code import check_code
from emotrace.reruns.digests import digest_tables
from emotrace.reruns.recipe import Recipe
from emotrace.reruns.store import Store, remove_entry
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.folds import Fold, make_folds
from emotrace.splits.protocol import Protocol
from emotrace.training.checkpoint import Checkpoint
from emotrace.training.devices import claim_gpu, is_out_of_memory
from emotrace.training.fits import FitNames, get_fit, link_weights, name_checkpoint, put_fit
from emotrace.training.fitting import DivergedError
from emotrace.training.fold import Fit, FoldData, prepare_device, prepare_fold, run_fit
from emotrace.training.recipe import list_code
from emotrace.training.sequences import Sequences
from emotrace.training.settings import TrainingSettings

logger = logging.getLogger(__name__)

KEYS = {"target": pa.string(), "fold": pa.int16(), "seed": pa.int32()}
"""Columns that identify a fit in the tables of a run."""

COLUMNS = {
    "predictions": ("clip_id", "time_s", *KEYS, "prediction", "shuffled"),
    "attention": ("clip_id", *KEYS, "time_s", "weights"),
    "history": ("epoch", "training_loss", "validation_loss", "validation_r2", *KEYS),
}
"""Tables of a run, and their columns."""

MOST_PIECES = 8
"""Largest number of pieces per batch; if more are needed, the GPU is too small for the model."""


@dataclass(frozen=True)
class Planned:
    """A fit that a job has to provide.

    Parameters
    ----------
    seed : int
        Seed of the fit.
    fold : Fold
        Fold of the fit.
    target : str
        One of `emotrace.TARGETS`.
    entry : Path
        Path of its entry in the store.
    """

    seed: int
    fold: Fold
    target: str
    entry: Path

    @property
    def name(self) -> str:
        """Name of the fit for messages."""
        return f"seed {self.seed}, fold {self.fold.number}, {self.target}"


def train_all(
    sequences: Sequences,
    clips: pd.DataFrame,
    *,
    recipe: Recipe,
    protocol: Protocol,
    seeds: Sequence[int],
    feature_set: str,
    store: Store,
    folder: Path,
    threads: int,
    gpu_slots: int,
) -> str:
    """Fit and test a model for every seed, fold and target; reuse fits from the store.

    Parameters
    ----------
    sequences : Sequences
        Features and labels of all clips.
    clips : pandas.DataFrame
        Clips of the corpus.
    recipe : Recipe
        Recipe of the fits; see `emotrace.training.recipe.write_recipe`.
    protocol : Protocol
        Protocol that divides the clips.
    seeds : sequence of int
        Seeds of the fits.
    feature_set : str
        Name of the feature set from which the sequences were made.
    store : Store
        Store that keeps the fits.
    folder : Path
        Output folder for ``predictions.parquet``, ``attention.parquet``, ``history.parquet``
        and ``weights/TARGET_foldN_seedN.safetensors``.
    threads : int
        Number of CPU threads.
    gpu_slots : int
        Number of jobs that may share a GPU; see `emotrace.training.devices.claim_gpu`.

    Returns
    -------
    str
        Digest of the content of the tables.

    Raises
    ------
    EmotraceError
        If the code was edited after the run was planned, the store cannot be read or written
        to, the GPU has too little memory, or fits diverged. Diverged fits are reported after
        all others have been made and stored.
    """
    names = FitNames(sequences)
    plan = [
        Planned(seed, fold, target, store.locate(recipe, names.name_entry(fold, target, seed)))
        for seed, fold in _list_folds(clips, protocol, seeds)
        for target in TARGETS
    ]
    store.claim(folder / "predictions.parquet", (planned.entry for planned in plan))
    about = {**asdict(recipe), "feature_set": feature_set, "protocol": asdict(protocol)}
    about |= {"seeds": list(seeds), "n_features": sequences.features.shape[-1]}
    make = partial(_make_fits, sequences=sequences, recipe=recipe, store=store, threads=threads)
    missing = [planned for planned in plan if not planned.entry.exists()]
    with claim_gpu(gpu_slots) if missing else nullcontext():
        _refuse_diverged(make(missing), recipe.name, feature_set)
    digest, damaged = _write_run(plan, about, store, folder)
    if damaged:
        with claim_gpu(gpu_slots):
            _refuse_diverged(make(damaged), recipe.name, feature_set)
        digest, lost = _write_run(plan, about, store, folder)
        if lost:
            raise EmotraceError(
                f"{lost[0].entry}: this fit was removed or damaged while it was needed",
                hint="start the same command again",
            )
    n_made = len(missing) + len(damaged)
    logger.info("%s: %d fits made, %d reused", recipe.name, n_made, len(plan) - n_made)
    return digest


def _list_folds(
    clips: pd.DataFrame, protocol: Protocol, seeds: Sequence[int]
) -> Iterator[tuple[int, Fold]]:
    for seed in seeds:
        for fold in make_folds(clips, protocol, seed=seed):
            yield seed, fold


def _make_fits(
    missing: Sequence[Planned],
    *,
    sequences: Sequences,
    recipe: Recipe,
    store: Store,
    threads: int,
) -> list[str]:
    """Make and store fits; return the messages about those that diverged."""
    diverged: list[str] = []
    if not missing:
        return diverged
    # Before the first checkpoint: one of edited code would be resumed as one of planned code.
    _check_code(recipe)
    settings = TrainingSettings(**recipe.settings)
    device = prepare_device(threads)
    fold: Fold | None = None
    data: FoldData | None = None
    for number, planned in enumerate(missing, start=1):
        checkpoint = Checkpoint(name_checkpoint(planned.entry))
        try:
            if planned.fold is not fold:
                fold, data = planned.fold, None  # two folds at once would take twice the memory
                data = prepare_fold(sequences, fold, settings, device)
            started = time.monotonic()
            fit = _make_fit(planned, sequences, data, recipe, checkpoint)
        except DivergedError as error:
            checkpoint.remove()
            diverged.append(f"{planned.name}: {error}")
            logger.warning("fit %d of %d diverged: %s", number, len(missing), diverged[-1])
            continue
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise EmotraceError(
                f"{recipe.name}: the GPU has too little memory ({error})",
                hint="lower training.batch_size or gpu_slots in the config, or take a larger GPU",
            ) from None
        put_fit(store, planned.entry, fit)
        checkpoint.remove()
        _report(f"fit {number} of {len(missing)}", planned, fit, time.monotonic() - started)
    return diverged


def _check_code(recipe: Recipe) -> None:
    """Check that this process imports the code that was planned."""
    family, _ = parse_model_name(recipe.name)
    importlib.import_module(f"emotrace.models.{family}")
    check_code(recipe.code, recipe.name, *list_code(recipe.name))


def _make_fit(
    planned: Planned,
    sequences: Sequences,
    data: FoldData,
    recipe: Recipe,
    checkpoint: Checkpoint,
) -> Fit:
    """Fit with whole batches, or with batches in as many pieces as the GPU's memory requires."""
    n_pieces = 1
    while True:
        try:
            return run_fit(
                recipe.name,
                sequences,
                data,
                planned.target,
                settings=TrainingSettings(**recipe.settings),
                seed=planned.seed,
                checkpoint=checkpoint,
                n_pieces=n_pieces,
            )
        except RuntimeError as error:
            if n_pieces == MOST_PIECES or not is_out_of_memory(error):
                raise
        # Only now is the failed fit free, since the exception's traceback referred to it.
        torch.cuda.empty_cache()
        n_pieces *= 2
        logger.warning(
            "%s: the GPU has too little memory, so each batch is taken in %d pieces",
            recipe.name,
            n_pieces,
        )


def _report(which: str, planned: Planned, fit: Fit, seconds: float) -> None:
    history = fit.history.to_pandas()
    best = history.loc[history["validation_loss"].idxmin()]
    logger.info(
        "%s: %s: stopped after %d epochs, best is %d with validation R2 %s, %.1f s",
        which,
        planned.name,
        len(history),
        best["epoch"],
        "undefined" if math.isnan(best["validation_r2"]) else f"{best['validation_r2']:.3f}",
        seconds,
    )


def _refuse_diverged(diverged: Sequence[str], model: str, feature_set: str) -> None:
    if diverged:
        raise EmotraceError(
            "\n  ".join([f"{model} on {feature_set}: fits that diverged:", *diverged]),
            hint="lower training.learning_rate in the config, or that of this model alone with "
            f"overrides: {{{model}: {{learning_rate: ...}}}}; the other fits are kept",
        )


def _write_run(
    plan: Sequence[Planned], about: Mapping[str, Any], store: Store, folder: Path
) -> tuple[str, list[Planned]]:
    """Merge the fits into one table each for predictions, attention and history.

    Returns
    -------
    digest : str
        Digest of the content of the tables.
    damaged : list of Planned
        Damaged fits, which are missing from the tables and were removed from the store.
    """
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    # Features that a model leaves out do not change predictions, but the tables count them.
    digest = hashlib.sha256(str(about["n_features"]).encode())
    writers: dict[str, pq.ParquetWriter] = {}
    damaged = []
    for planned in plan:
        fit = get_fit(store, planned.entry)
        if fit is None:
            logger.warning("%s is damaged or gone, so the fit is made again", planned.entry)
            remove_entry(planned.entry)
            damaged.append(planned)
            continue
        keys = {"target": planned.target, "fold": planned.fold.number, "seed": planned.seed}
        for name, columns in COLUMNS.items():
            table = _add_keys(getattr(fit, name), keys).select(columns)
            table = table.replace_schema_metadata({"emotrace": json.dumps(about)})
            digest.update(digest_tables(table).encode())
            if name not in writers:
                writers[name] = pq.ParquetWriter(folder / f"{name}.parquet", table.schema)
            writers[name].write_table(table)
        name = "{target}_fold{fold}_seed{seed}.safetensors".format(**keys)
        link_weights(planned.entry, folder / "weights" / name)
    for name, writer in writers.items():
        writer.close()
        seal_table(folder / f"{name}.parquet")
    return digest.hexdigest(), damaged


def _add_keys(table: pa.Table, keys: Mapping[str, Any]) -> pa.Table:
    for name, value in keys.items():
        column = pa.repeat(pa.scalar(value, KEYS[name]), len(table))
        table = table.append_column(name, column)
    return table
