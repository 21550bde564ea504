"""Train one model on one feature table without Snakemake: ``python -m emotrace.training``.

The results and the store entries are the same as those of the workflow's training job.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from emotrace import TARGETS
from emotrace.reruns.checksums import read_schema
from emotrace.reruns.store import open_store
from emotrace.runtime.disks import explain_refusal, silence_unclosed_files
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.jobs import remove_products
from emotrace.splits.protocol import Protocol
from emotrace.training.job import COLUMNS, train_all
from emotrace.training.options import read_options
from emotrace.training.recipe import write_recipe
from emotrace.training.sequences import load_sequences, read_clips

CORPUS = {
    "clips": ("clip_id", "artist", "split", "sha256", "samples_sha256"),
    "annotations": ("clip_id", "time_s", *TARGETS),
}
"""Tables of a corpus, and the columns that training reads."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, and log to the terminal.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command-line arguments; by default, those of this process.

    Raises
    ------
    SystemExit
        If an error occurs; only its message is shown.
    """
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("emotrace").setLevel(logging.INFO)
    silence_unclosed_files()
    options = read_options(arguments)
    try:
        train_model(options)
    except EmotraceError as error:
        sys.exit(str(error))
    except OSError as error:
        refusal = explain_refusal(error, options.folder)
        if refusal is None:
            raise
        remove_products(_list_products(options.folder))
        sys.exit(str(refusal))


def train_model(options: Namespace) -> None:
    """Train all seeds, folds and targets, and write the run to its folder.

    Parameters
    ----------
    options : argparse.Namespace
        Options, as returned by `emotrace.training.options.read_options`.

    Raises
    ------
    EmotraceError
        If an input or the output folder is missing or not as expected, or for any reason that
        ends a training job.
    """
    feature_set = _find_feature_set(options.table)
    paths = {name: options.corpus / f"{name}.parquet" for name in CORPUS}
    for name, path in paths.items():
        _refuse_other_table(path, CORPUS[name])
    _empty_folder(options.folder)
    clips = read_clips(paths["clips"], options.table)
    digest = train_all(
        load_sequences(options.table, paths["annotations"], list(clips["clip_id"])),
        clips,
        recipe=write_recipe(
            options.model, options.training, new_torch_retrains=options.new_torch_retrains
        ),
        protocol=Protocol(**options.protocol),
        seeds=sorted(set(options.seeds)),
        feature_set=feature_set,
        store=open_store(options.store),
        folder=options.folder,
        threads=options.threads,
        gpu_slots=options.gpu_slots,
    )
    (options.folder / "run.digest").write_text(f"{digest}\n", encoding="utf-8")


def _find_feature_set(table: Path) -> str:
    """Return the name of the feature set of a table."""
    metadata = _read_schema(table).metadata or {}
    try:
        feature_set = json.loads(metadata[b"emotrace"])["name"]
    except (KeyError, TypeError, ValueError):
        feature_set = None
    if not (isinstance(feature_set, str) and feature_set.isidentifier()):
        raise EmotraceError(
            f"{table}: is not a feature table",
            hint="take one of those that the workflow writes to results/features",
        )
    return feature_set


def _refuse_other_table(path: Path, columns: Sequence[str]) -> None:
    missing = set(columns) - set(_read_schema(path).names)
    if missing:
        raise EmotraceError(
            f"{path}: has no column {', '.join(sorted(missing))}",
            hint="name under --corpus the workflow's results/corpus, or a copy of it",
        )


def _read_schema(path: Path) -> pa.Schema:
    try:
        return read_schema(path)
    except FileNotFoundError:
        raise EmotraceError(
            f"{path}: this file does not exist",
            hint="copy results/corpus and a table of results/features from where the workflow ran",
        ) from None
    except (OSError, pa.ArrowInvalid) as error:
        raise EmotraceError(
            f"{path}: cannot be read as a table ({error})",
            hint="copy it again from where the workflow ran",
        ) from None


def _empty_folder(folder: Path) -> None:
    """Remove files of an earlier run that could be mistaken for parts of this one."""
    if Path.cwd() not in Path(os.path.abspath(folder)).parents:
        raise EmotraceError(
            f"--folder {folder}: does not lie below the working folder {Path.cwd()}",
            hint="start the command above the folder that the run is to lie in",
        )
    try:
        (folder / "weights").mkdir(parents=True, exist_ok=True)
        for path in _list_products(folder):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise EmotraceError(
            f"{error.filename or folder}: cannot be written to ({error.strerror or error})",
            hint="name another folder under --folder",
        ) from None


def _list_products(folder: Path) -> list[Path]:
    """List the files that a run writes, or has written, to its folder."""
    tables = (folder / f"{name}.parquet" for name in COLUMNS)
    return [folder / "run.digest", *tables, *folder.glob("weights/*_fold*_seed*.safetensors")]


if __name__ == "__main__":
    main()
