"""``python -m emotrace.training`` is the workflow's training job, on a machine without the rest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from emotrace.config.schema import Config, ProtocolSettings, TrainingSettings
from emotrace.reruns.checksums import write_table
from emotrace.training.__main__ import main
from emotrace.training.options import read_options
from tests.training import read_run, write_inputs
from tests.workflow import ROOT, run_snakemake, succeed

pytestmark = pytest.mark.slow

LACKING = ("snakemake", "opensmile", "librosa", "av", "soundfile", "soxr", "dask", "distributed")
LACKING += ("pydantic", "safetensors", "sklearn", "yaml", "matplotlib", "numba", "pooch")
LACKING += ("requests", "threadpoolctl", "tqdm")

HIDING = f"""
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec

def find_others(name, path=None, target=None):
    return None if name.split(".")[0] in {LACKING} else find_spec(name, path, target)

PathFinder.find_spec = find_others
"""
"""What Python imports first, if it is called sitecustomize: nothing above is found thereafter."""

PLAIN = ("AT_2", "table.parquet", "--corpus", ".", "--folder", "run")


def run_command(folder: Path, bare: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a working folder, in which it finds torch and a little more."""
    return subprocess.run(
        [sys.executable, "-m", "emotrace.training", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{bare}{os.pathsep}{ROOT}"},
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder that, on Python's path, hides what a GPU machine lacks."""
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HIDING, encoding="utf-8")
    return folder


def test_the_workflow_reuses_fits_from_a_bare_machine(tmp_path: Path, bare: Path) -> None:
    config = {
        "corpus": {"name": "demo", "n_clips": 6, "duration_s": 6},
        "runs": [{"feature_sets": ["compare"], "models": ["AT_2"]}],
        "evaluation": {"feature_set": "compare", "baseline": "AT_2"},
        "protocol": {"name": "artist", "folds": 2},
        "training": {"max_epochs": 1, "dropout": 0, "feedback": False},
        "overrides": {"AT": {"scaling": "z_score"}},
        "seeds": [2, 1],
    }
    there, here = tmp_path / "there", tmp_path / "here"
    succeed(run_snakemake(here, "corpus", "features", config=config))

    shutil.copytree(here / "results", there / "results")
    earlier = there / "run/weights/arousal_fold9_seed9.safetensors"
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    options = ["--protocol", "artist", "--folds", "2", "--max-epochs", "1", "--dropout", "0"]
    options += ["--no-feedback", "--scaling", "z_score", "--seeds", "2", "1"]
    table = "results/features/compare.parquet"
    printed = succeed(run_command(there, bare, "AT_2", table, "--folder", "run", *options))
    assert re.search(r"fit 1 of 8: seed 1, fold 0, arousal: stopped after 1 epochs", printed)
    assert "AT_2: 8 fits made, 0 reused" in printed

    shutil.copytree(there / "store/fits", here / "store/fits")
    succeed(run_snakemake(here, "models", config=config))
    log = (here / "logs/train_model/compare_AT_2.log").read_text(encoding="utf-8")
    assert "AT_2: 0 fits made, 8 reused" in log
    by_workflow = read_run(here / "results/runs/compare/AT_2")
    for name in ("weights/.snakemake_timestamp", "predictions.made_with.json"):
        by_workflow.pop(name)
    assert read_run(there / "run") == by_workflow


def test_a_bare_machine_lacks_what_it_should(tmp_path: Path, bare: Path) -> None:
    lines = [f"try: import {name}; print('found')\nexcept ImportError: pass" for name in LACKING]
    environment = os.environ | {"PYTHONPATH": str(bare)}
    command = [sys.executable, "-c", "\n".join(lines)]
    assert subprocess.check_output(command, env=environment, cwd=tmp_path) == b""


def test_defaults_are_those_of_the_config() -> None:
    options = read_options(PLAIN)
    default = Config()
    for key in ("protocol", "training"):
        assert repr(getattr(options, key)) == repr(getattr(default, key).model_dump(mode="json"))
    for key in ("seeds", "store", "gpu_slots", "new_torch_retrains"):
        assert getattr(options, key) == getattr(default, key)


def test_every_setting_can_be_given_and_reads_as_in_the_config() -> None:
    protocol = {"name": "paper", "folds": 3, "validation_fraction": 0.5}
    training: dict[str, Any] = {"optimizer": "rmsprop", "learning_rate": 1, "weight_decay": 0}
    training |= {"dropout": 0, "feedback": False, "batch_size": 2, "max_epochs": 3, "patience": 4}
    training |= {"min_delta": 0, "scaling": "z_score", "feature_limit": 7}
    assert set(protocol) == set(ProtocolSettings.model_fields)
    assert set(training) == set(TrainingSettings.model_fields)
    given = {"protocol": protocol["name"], **protocol, **training}
    del given["name"], given["feedback"]
    arguments = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    options = read_options([*PLAIN, *arguments, "--no-feedback"])
    assert repr(options.protocol) == repr(ProtocolSettings(**protocol).model_dump(mode="json"))
    assert repr(options.training) == repr(TrainingSettings(**training).model_dump(mode="json"))


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with ``table.parquet`` and a corpus, and with what is none."""
    write_inputs(tmp_path)
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "clips.parquet", tmp_path / "other/annotations.parquet")
    shutil.copy(tmp_path / "clips.parquet", tmp_path / "other/clips.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "table.parquet").read_bytes()[:-9])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize(
    "about",
    [{"feature_set": "../../../x"}, {"feature_set": "/x"}, {"feature_set": ["x"]}, ["x"], None],
)
def test_a_table_whose_feature_set_leads_out_of_the_store_is_refused(about: object) -> None:
    table = pq.read_table("table.parquet")
    metadata = {"emotrace": "{" if about is None else json.dumps(about)}
    write_table(table.replace_schema_metadata(metadata), "other.parquet")
    before = sorted(Path("/").glob("x*")) + sorted(Path().rglob("*"))
    with pytest.raises(SystemExit, match="other.parquet: is not a feature table\nhint: "):
        main(["AT_2", "other.parquet", *PLAIN[2:], "--max-epochs", "1", "--store", "a/b/store"])
    assert sorted(Path("/").glob("x*")) + sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["LTSM_4", *PLAIN[1:]], "argument model: 'LTSM_4' is not a model; did you mean LSTM_4?"),
        (["AT_²", *PLAIN[1:]], "argument model: 'AT_²' is not a model: a name is a family follow"),
        (["AT_9999", *PLAIN[1:]], "sizes of AT are at most 4096; did you mean AT_4096?"),
        (["AT_2", "nowhere", *PLAIN[2:]], "nowhere: this file does not exist"),
        (["AT_2", "cut.parquet", *PLAIN[2:]], "cut.parquet: is damaged, or was changed"),
        (
            ["AT_2", "annotations.parquet", *PLAIN[2:]],
            "annotations.parquet: is not a feature table",
        ),
        ([*PLAIN, "--corpus", "run"], "run/clips.parquet: this file does not exist"),
        ([*PLAIN, "--corpus", "other"], "other/annotations.parquet: has no column arousal, time_s"),
        ([*PLAIN, "--folder", "."], "--folder .: does not lie below the working folder /"),
        ([*PLAIN, "--folder", ".."], "--folder ..: does not lie below the working folder /"),
        ([*PLAIN, "--folder", "cut.parquet"], "cut.parquet/weights: cannot be written to (Not a"),
        ([*PLAIN, "--store", "cut.parquet"], "cut.parquet/claims"),
        ([*PLAIN, "--protocol", "artist", "--folds", "99"], "99 folds cannot be made of 8 artists"),
        ([*PLAIN, "--folds", "1"], "argument --folds: 1 is not at least 2"),
        ([*PLAIN, "--dropout", "1"], "argument --dropout: 1 is not below 1"),
        ([*PLAIN, "--learning-rate", "nan"], "argument --learning-rate: nan is not above 0"),
        ([*PLAIN, "--learning-rate", "inf"], "argument --learning-rate: inf is not at most 1000"),
        ([*PLAIN, "--batch-size", "9" * 5000], "argument --batch-size: '9999"),
        ([*PLAIN, "--store", "~nosuchuser/x"], "store: the home folder of nosuchuser is not known"),
        ([*PLAIN, "--max-epochs", "2.5"], "argument --max-epochs: '2.5' is not a valid integer"),
        ([*PLAIN, "--seeds", "1", "-1"], "argument --seeds: -1 is not at least 0"),
        ([*PLAIN, "--threads", "0"], "argument --threads: 0 is not at least 1"),
        ([*PLAIN, "--scaling", "robst"], "argument --scaling: invalid choice: 'robst'"),
        ([*PLAIN, "--max-epoch", "3"], "unrecognized arguments: --max-epoch 3"),
    ],
)
def test_a_mistake_ends_in_one_message_with_a_hint(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    # A text is printed by Python, which then ends with 1.
    code = stopped.value.code
    message = capsys.readouterr().err if code == 2 else code
    assert isinstance(message, str)
    assert expected in message
    assert "\nhint: " in message
    assert not Path("run/predictions.parquet").exists()
