"""Reruns exactly as large as the change: which jobs run, and what they take from the store."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from emotrace.reruns.store import Store
from tests.music import RATE, write_annotations, write_clips
from tests.workflow import build_command, copy_workflow, list_jobs, run_snakemake, succeed

pytestmark = pytest.mark.slow

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


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A finished run."""
    base = tmp_path_factory.mktemp("finished")
    write_music(base / "run/music")
    (base / "packages").mkdir()
    bench = Bench(base / "run", copy_workflow(base / "workflow"), CONFIG, base / "packages")
    assert set(list_jobs(bench.run())) == EVERYTHING
    assert bench.count() == {
        "chroma": (12, 0),
        "compare": (12, 0),
        "chroma_LSTM_2": (2, 0),
        "chroma_AT_2": (2, 0),
        "compare_AT_2": (2, 0),
    }
    return bench


@pytest.fixture
def bench(finished: Bench, tmp_path: Path) -> Bench:
    """A copy of the finished run, to be changed."""
    shutil.copytree(finished.folder.parent, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "run/logs")
    return Bench(tmp_path / "run", tmp_path / "workflow", dict(CONFIG), tmp_path / "packages")


@dataclass(frozen=True)
class Row:
    """A change, and what must follow from it.

    Parameters
    ----------
    change : callable
        Makes the change.
    jobs : set of str
        Exactly these run.
    announced : set of str, optional
        What the dry run announces, if not all of `jobs`.
    draws : bool
        Whether the figures among the jobs are drawn, which takes long; else a dry run alone
        tells that they would be.
    counts : dict
        What jobs made anew and what they took from the store: clips or fits.
    """

    change: Callable[[Bench], None]
    jobs: set[str] = field(default_factory=set)
    draws: bool = False
    announced: set[str] | None = None
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)


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
    edit(bench, "emotrace/training/fold.py", "One fit: a model", "One fit, a model")


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

ROWS = [
    Row(change_nothing),
    Row(touch_everything),
    Row(copy_results_to_a_fresh_clone),
    Row(comment_every_module),
    Row(reword_errors_hints_and_docstrings),
    Row(move_a_module),
    Row(write_the_config_otherwise),
    Row(
        change_values_of_compare,
        jobs={"extract_features compare"} | ON_COMPARE | TABLES,
        announced={"extract_features compare"},
        counts={"compare": (12, 0), "compare_AT_2": (2, 0)},
    ),
    Row(
        rewrite_compare_alike,
        jobs={"extract_features compare"},
        counts={"compare": (12, 0)},
    ),
    Row(
        widen_windows_of_compare,
        jobs={"extract_features compare"} | ON_COMPARE | TABLES,
        announced={"extract_features compare"},
        counts={"compare": (12, 0), "compare_AT_2": (2, 0)},
    ),
    Row(
        update_opensmile,
        jobs={"extract_features compare"},
        counts={"compare": (12, 0)},
    ),
    Row(
        update_librosa,
        jobs={"extract_features chroma"},
        counts={"chroma": (12, 0)},
    ),
    Row(
        add_ten_clips_and_remove_one,
        jobs=EVERYTHING,
        counts={"chroma": (10, 11), "compare": (10, 11), **RETRAINED},
    ),
    Row(
        replace_a_file,
        jobs=EVERYTHING,
        counts={"chroma": (1, 11), "compare": (1, 11), **RETRAINED},
    ),
    Row(
        change_annotation,
        jobs={"build_corpus"} | TRAININGS | BASELINES | TABLES | DRAWING,
        counts=dict.fromkeys(RETRAINED, (1, 1)),
    ),
    Row(
        change_splits,
        jobs={"build_corpus"} | TRAININGS | BASELINES | TABLES | DRAWING,
        counts=RETRAINED,
    ),
    Row(
        change_protocol,
        jobs={"build_corpus"} | TRAININGS | BASELINES | TABLES | DRAWING,
        counts=dict.fromkeys(RETRAINED, (4, 0)),
    ),
    Row(
        add_model,
        jobs={"train_model compare Mine_2"} | TABLES,
        counts={"compare_Mine_2": (2, 0)},
    ),
    Row(
        change_hyperparameter,
        jobs={"train_model chroma LSTM_2"} | TABLES | DRAWING,
        draws=True,
        counts={"chroma_LSTM_2": (2, 0)},
    ),
    Row(
        add_seed,
        jobs=TRAININGS | TABLES | DRAWING,
        counts=dict.fromkeys(RETRAINED, (2, 2)),
    ),
    Row(update_torch),
    Row(change_metric, jobs=TABLES),
    Row(change_facts, jobs=TABLES),
    Row(change_table, jobs={"build_tables"}),
    Row(change_figure, jobs={"plot_curves"}, draws=True),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.change.__name__)
def test_reruns_are_as_large_as_the_change(bench: Bench, row: Row) -> None:
    row.change(bench)
    announced = set(list_jobs(bench.run("tables", "figures", "--dry-run")))
    assert announced == (row.jobs if row.announced is None else row.announced)
    targets = ["tables", "figures"] if row.draws or not row.jobs & DRAWING else ["tables"]
    expected = row.jobs if "figures" in targets else row.jobs - DRAWING
    assert set(list_jobs(bench.run(*targets))) == expected
    assert bench.count() == row.counts
    assert "Nothing to be done" in bench.run(*targets)


# Without the folder .snakemake, which a copy without hidden files lacks.

CHANGES = (change_nothing, widen_windows_of_compare, replace_a_file, change_splits)
CHANGES += (change_protocol, change_hyperparameter, add_seed, change_metric, change_table)
CHANGES += (change_figure,)

FORGOTTEN = [row for row in ROWS if row.change in CHANGES] + [
    Row(
        change_annotation_scale,
        jobs={"build_corpus"} | TRAININGS | BASELINES | TABLES | DRAWING,
    ),
    Row(
        change_model,
        jobs={"train_model chroma AT_2", "train_model compare AT_2"} | TABLES | DRAWING,
    ),
]


def forget(bench: Bench) -> None:
    shutil.rmtree(bench.folder / ".snakemake")


@pytest.mark.parametrize("row", FORGOTTEN, ids=lambda row: row.change.__name__)
def test_changes_are_seen_without_the_notes_of_snakemake(bench: Bench, row: Row) -> None:
    forget(bench)
    row.change(bench)
    announced = set(list_jobs(bench.run("tables", "figures", "--dry-run")))
    assert announced == (row.jobs if row.announced is None else row.announced)


def list_notes(bench: Bench) -> set[str]:
    notes = bench.folder / ".snakemake/metadata"
    return {path.relative_to(notes).as_posix() for path in notes.rglob("*") if path.is_file()}


def test_notes_that_are_lost_are_written_anew_for_every_product(bench: Bench) -> None:
    known = list_notes(bench)
    forget(bench)
    touch_everything(bench)
    assert "Nothing to be done" in bench.run()
    assert list_notes(bench) == known


def test_what_nothing_is_known_of_is_made_again_from_the_store(bench: Bench) -> None:
    forget(bench)
    touch_everything(bench)
    for record in bench.folder.rglob("*.made_with.json"):
        record.unlink()
    assert "audio files: nothing says what it was made with" in bench.run("explain")
    assert set(list_jobs(bench.run())) == EVERYTHING
    assert bench.count() == {
        "chroma": (0, 12),
        "compare": (0, 12),
        **dict.fromkeys(RETRAINED, (0, 2)),
    }
    assert "Nothing to be done" in bench.run()


def test_a_job_that_failed_is_not_forgotten_while_old_tables_stand(bench: Bench) -> None:
    shutil.rmtree(bench.folder / "results/runs/chroma/AT_2")  # as Snakemake does after a failure
    announced = set(list_jobs(bench.run("tables", "--dry-run")))
    assert announced == {"train_model chroma AT_2", *TABLES}


STOPS = ("results/corpus/files.csv", "corpus", "features", "models")


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in ROWS
        if row.change in (change_values_of_compare, replace_a_file, change_splits)
    ],
    ids=lambda row: row.change.__name__,
)
def test_a_run_in_parts_leaves_nothing_behind(bench: Bench, row: Row) -> None:
    row.change(bench)
    ran: list[str] = []
    for stop in STOPS:
        ran += list_jobs(bench.run(stop))
    ran += list_jobs(bench.run())
    assert sorted(ran) == sorted(row.jobs)
    assert "Nothing to be done" in bench.run()


def test_two_changes_at_once_are_both_followed(bench: Bench) -> None:
    change_annotation(bench)
    rewrite_compare_alike(bench)
    change_metric(bench)
    jobs = {"build_corpus", "extract_features compare"} | TRAININGS | BASELINES | TABLES | DRAWING
    assert set(list_jobs(bench.run())) == jobs
    assert "Nothing to be done" in bench.run()


def test_torch_counts_where_the_config_says_so(bench: Bench) -> None:
    bench.config["new_torch_retrains"] = True
    bench.run()
    assert bench.count() == RETRAINED
    update_torch(bench)
    planned = set(list_jobs(bench.run("tables", "figures", "--dry-run")))
    assert planned == TRAININGS | TABLES | DRAWING


def test_next_run_is_explained_in_words(bench: Bench) -> None:
    assert "Nothing to do: all results are what the experiment asks for." in bench.run("explain")
    add_ten_clips_and_remove_one(bench)
    widen_windows_of_compare(bench)
    add_seed(bench)
    change_hyperparameter(bench)
    explained = bench.run("explain").splitlines()
    for line in (
        "audio files: 10 new, 1 gone",
        "corpus: its audio files change",
        "chroma: 10 new clips, 11 kept (the audio files change)",
        "compare: 10 new clips, 11 clips to compute (window_s 0.5 -> 1.0)",
        "LSTM_2 on chroma: dropout 0.5 -> 0.1; seed 2 is new; the features may change",
        "AT_2 on chroma: seed 2 is new; the features may change",
        "AT_2 on compare: seed 2 is new; the features may change",
    ):
        assert line in explained, "\n".join(explained)


def test_the_next_run_is_explained_under_a_quiet_profile_too(bench: Bench) -> None:
    profile = bench.folder.parent / "quiet"
    profile.mkdir()
    (profile / "config.yaml").write_text("quiet: [all]\n", encoding="utf-8")
    add_model(bench)
    assert "Mine_2 on compare: not made yet" in bench.run("explain", "--profile", str(profile))


def test_models_that_may_be_spared_are_said_to_be(bench: Bench) -> None:
    rewrite_compare_alike(bench)
    explained = bench.run("explain").splitlines()
    assert "compare: 12 clips to compute (its code has changed)" in explained
    assert "AT_2 on compare: only if the features come out different" in explained


def test_a_store_is_shared_and_cleaned(bench: Bench, finished: Bench) -> None:
    bench.config["store"] = str(bench.folder.parent / "shared")
    shutil.move(bench.folder / "store", bench.config["store"])
    assert "Nothing to be done" in bench.run()

    other = Bench(bench.folder.parent / "other", bench.workflow, dict(bench.config), bench.packages)
    shutil.copytree(bench.folder / "music", other.folder / "music")
    other.config["runs"] = [{"feature_sets": ["chroma", "compare"], "models": ["LSTM_2"]}]
    other.run()
    assert other.count() == {
        "chroma": (0, 12),
        "compare": (0, 12),
        "chroma_LSTM_2": (0, 2),
        "compare_LSTM_2": (2, 0),
    }

    # Nobody uses the other models' fits any more, and soon not the narrow windows either.
    shutil.rmtree(bench.folder)
    widen_windows_of_compare(other)
    other.run()
    claims = Store(Path(bench.config["store"]), finished.folder).claims
    finished.folder.rename(away := finished.folder.with_name("unmounted"))
    try:
        cleaned = other.run("clean_store")
    finally:
        away.rename(finished.folder)
    assert f"{finished.folder} is not found" in cleaned and f"rm -r {claims}" in cleaned
    assert "4 are not" in cleaned  # LSTM_2 of narrow windows and its weights, for each target
    shutil.rmtree(claims)
    assert "44 files are in use" in (cleaned := other.run("clean_store")), cleaned
    assert "20 are not" in cleaned
    assert "Nothing to be done" in other.run()
    other.run("features", "--forcerun", "extract_features")
    assert other.count()["chroma"] == other.count()["compare"] == (0, 12)


def test_a_clean_up_that_does_not_know_what_is_used_is_refused(bench: Bench) -> None:
    cleaned = run_snakemake(bench.folder, "clean_store", config=bench.config, root=bench.workflow)
    assert cleaned.returncode != 0
    assert "it is not known which entries results/corpus/files.csv, " in cleaned.stderr
    assert "hint: if the folder was moved or copied" in cleaned.stderr
    assert "Traceback" not in cleaned.stderr


def test_code_edited_while_the_run_waits_is_refused(bench: Bench) -> None:
    shutil.rmtree(bench.folder / "store/features")
    rewrite_compare_alike(bench)
    bench.config["seeds"] = [2]
    command = build_command(bench.folder, "tables", config=bench.config, root=bench.workflow)
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not list(bench.folder.glob("store/features/compare/*/*/[0-9a-f]*")):
        assert run.poll() is None
        time.sleep(0.01)
    add_logic(bench, "emotrace/models/AT.py")
    printed, _ = run.communicate()
    assert run.returncode != 0
    assert "AT_2: its code was edited after the run was planned" in printed
    assert "Traceback" not in printed
    entries = bench.folder.glob("store/fits/AT_2/*/*/[0-9a-f]*")
    # Those of the finished run, on both feature sets.
    assert len([entry for entry in entries if not entry.suffix]) == 4
    assert "train_model compare AT_2" in list_jobs(bench.run())


def test_a_killed_run_goes_on_where_it_was(bench: Bench) -> None:
    for kind in ("features", "fits"):
        shutil.rmtree(bench.folder / "store" / kind)
    rewrite_compare_alike(bench)
    command = build_command(bench.folder, "tables", config=bench.config, root=bench.workflow)
    run = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not list(bench.folder.glob("store/features/compare/*/*/[0-9a-f]*")):
            assert run.poll() is None
            time.sleep(0.01)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    bench.run("--unlock")
    bench.run()
    computed, reused = bench.count()["compare"]
    assert (computed + reused, reused > 0) == (12, True)
