"""Folders and names that Snakemake would take for something else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.workflow import ROOT, build_command, list_jobs, run_snakemake, succeed

pytestmark = pytest.mark.slow

DEMO = {
    "runs": [{"feature_sets": ["chroma"], "models": ["LSTM_4"]}],
    "evaluation": {"feature_set": "chroma", "baseline": "LSTM_4"},
}


@pytest.mark.parametrize("name", ["my clone", "mine'", "a(b)"])
def test_make_refuses_a_folder_from_which_no_job_would_start(tmp_path: Path, name: str) -> None:
    clone = tmp_path / name
    (clone / ".venv/bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", clone)
    for requirements in ("requirements.txt", "weights.txt"):
        (clone / "envs").mkdir(exist_ok=True)
        (clone / "envs" / requirements).touch()
    # As if installed already: what follows would be Snakemake.
    for installed in (".venv/installed", ".venv/bin/snakemake"):
        (clone / installed).touch(0o755)
    made = subprocess.run(["make", "demo"], cwd=clone, capture_output=True, text=True)
    assert made.returncode != 0
    assert f"{clone}: Snakemake cannot start jobs from a path with blanks" in made.stderr


def test_a_python_below_a_folder_with_a_blank_is_refused_while_planning(tmp_path: Path) -> None:
    python = tmp_path / "my clone/python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    command = build_command(tmp_path / "run", "corpus", "--dry-run", config=DEMO)
    environment = os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")}
    planned = subprocess.run(
        [str(python), *command[1:]], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    printed = planned.stdout + planned.stderr
    assert planned.returncode != 0, printed
    assert f"{python}: Snakemake cannot start jobs with this Python" in printed
    assert "its path contains ' '" in printed
    assert "hint: move the repository" in printed
    assert "Traceback" not in printed


def test_a_working_folder_with_braces_is_refused_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "set{1}"
    planned = run_snakemake(folder, "corpus", "--dry-run", config=DEMO)
    printed = planned.stdout + planned.stderr
    assert planned.returncode != 0
    assert f"{folder}: Snakemake takes braces" in printed
    assert "\nhint: rename it, or work in another one (--directory)" in printed
    assert "Traceback" not in printed


def test_braces_in_a_users_paths_and_names_are_no_wildcards(tmp_path: Path) -> None:
    music = tmp_path / "set{1}"
    music.mkdir()
    ids = [f"clip {{{number}}}" for number in range(3)]
    rows = "".join(f"{clip_id},{clip_id}.wav\n" for clip_id in ids)
    (music / "clips.csv").write_text(f"clip_id,path\n{rows}")
    (music / "annotations.csv").write_text("clip_id,time_s,arousal,valence\n")
    paths = {key: str(music / f"{key}.csv") for key in ("clips", "annotations")}
    config = DEMO | {
        "experiment": "{mine}",
        "corpus": {"name": "manifest", **paths},
        "figures": {"clips": ids[:1]},
        "protocol": {"name": "paper", "folds": 2},
    }
    planned = run_snakemake(tmp_path / "run", "tables", "figures", "--dry-run", config=config)
    assert "build_tables" in list_jobs(succeed(planned))


def test_braces_in_an_address_are_no_wildcards(tmp_path: Path) -> None:
    config = DEMO | {"corpus": {"name": "emomusic", "url": "http://127.0.0.1:1/{mirror}/"}}
    planned = run_snakemake(tmp_path, "corpus", "--dry-run", config=config)
    assert "download_emomusic" in list_jobs(succeed(planned))
