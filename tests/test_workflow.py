"""The workflow from end to end, as a user runs it."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from emotrace.reruns.records import name_record
from emotrace.splits.folds import make_folds
from emotrace.splits.protocol import Protocol
from emotrace.training.fitting import fit_model, predict
from emotrace.training.fold import prepare_fold
from emotrace.training.sequences import load_sequences
from emotrace.training.settings import TrainingSettings
from tests.workflow import ROOT, list_jobs, run_snakemake, succeed

pytestmark = pytest.mark.slow

DEMO: dict[str, Any] = {
    "runs": [
        {
            "feature_sets": ["compare"],
            "models": ["LSTM_64", "AT_64", "BAT_64", "TwoLevel_64", "Transformer_1"],
        },
        {"feature_sets": ["chroma"], "models": ["AT_64"]},
    ],
    "seeds": [1],
}

TINY = {
    "runs": [{"feature_sets": ["chroma"], "models": ["LSTM_4", "AT_4"]}],
    "evaluation": {"feature_set": "chroma", "baseline": "LSTM_4", "bootstrap_samples": 100},
    "training": {"max_epochs": 2},
    "seeds": [1],
}


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a finished run on the demo corpus."""
    directory = tmp_path_factory.mktemp("demo")
    succeed(run_snakemake(directory, "all", config=DEMO))
    return directory


def test_everything_promised_is_there(demo: Path) -> None:
    figures = ["curves", "error_histograms", "chromagrams", "attended_frames"]
    figures += [f"attention_maps_{family}" for family in ("AT", "BAT", "TwoLevel")]
    results = demo / "results"
    for figure in figures:
        assert (results / f"figures/{figure}.png").stat().st_size > 10_000
        assert (results / f"figures/{figure}.pdf").read_bytes().startswith(b"%PDF")
    tables = ["tables.tex", "tables.csv", "tables.html", "comparisons.csv", "groups.csv"]
    for table in (*tables, "metrics.parquet", "baselines/compare.parquet"):
        assert (results / table).stat().st_size > 500
    assert pd.read_csv(results / "corpus/excluded.csv").empty
    weights = sorted(path.name for path in results.glob("runs/compare/AT_64/weights/*.safetensors"))
    assert weights == ["arousal_fold0_seed1.safetensors", "valence_fold0_seed1.safetensors"]


def list_inputs(printed: str, target: str) -> list[str]:
    """List what a milestone asks for."""
    (inputs,) = re.findall(rf"^(?:local)?rule {target}:\n    input: (.*)$", printed, re.MULTILINE)
    return inputs.split(", ")


def read_promises() -> dict[str, list[str]]:
    """Read from the README's table which files each target makes, as patterns of their paths."""
    promises = {}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target, text in re.findall(r"^\| `(\w+)` \| (.*) \|$", readme, re.MULTILINE):
        names = re.findall(r"[\w/*]+\.(?:parquet|csv|tex|html|safetensors)", text)
        if target == "figures":
            figures = text.partition(": ")[2].replace(" ", "_").split(",_")
            names = [f"figures/{name}*.{kind}" for name in figures for kind in ("png", "pdf")]
        if names:
            # Of a folder, Snakemake knows no more than its name.
            names = [name.removesuffix("/*.safetensors") for name in names]
            promises[target] = [re.sub("FEATURE_SET|MODEL", "*", f"*{name}") for name in names]
    return promises


def test_each_target_asks_for_all_that_the_readme_promises(tmp_path: Path) -> None:
    promises = read_promises()
    assert promises.keys() == {"corpus", "features", "models", "tables", "figures"}
    planned = succeed(run_snakemake(tmp_path, *promises, "all", "--dry-run", config=DEMO))
    everything = list_inputs(planned, "all")
    for target, names in promises.items():
        asked = list_inputs(planned, target)
        assert [name for name in names if not fnmatch.filter(asked, name)] == []
        assert set(asked) <= set(everything)


def test_all_asks_for_every_result(demo: Path) -> None:
    planned = succeed(run_snakemake(demo, "all", "--dry-run", "--forceall", config=DEMO))
    asked = {demo / path for path in list_inputs(planned, "all")}
    made = [path for path in (demo / "results").rglob("*") if path.is_file()]
    records = {name_record([str(path)]) for path in asked}
    assert [path for path in made if not asked & {path, path.parent} and path not in records] == []


@pytest.mark.parametrize(
    "lost",
    [
        "corpus/files.csv",
        "baselines/chroma.parquet",
        "runs/compare/AT_64/run.digest",
        "runs/compare/AT_64/weights/valence_fold0_seed1.safetensors",
    ],
)
def test_what_is_lost_is_made_again(demo: Path, lost: str) -> None:
    file = demo / "results" / lost
    file.rename(kept := demo / "kept")
    try:
        planned = list_jobs(succeed(run_snakemake(demo, "all", "--dry-run", config=DEMO)))
        assert planned
    finally:
        kept.rename(file)


def test_attention_learns_the_demo_corpus(demo: Path) -> None:
    table = pd.read_csv(demo / "results/tables.csv")
    table = table[table["kind"] == "model"]
    rows = [
        (target, feature_set, model)
        for block in DEMO["runs"]
        for feature_set in block["feature_sets"]
        for model in block["models"]
        for target in ("arousal", "valence")
    ]
    keys = ["target", "feature_set", "model"]
    assert sorted(table[keys].itertuples(index=False, name=None)) == sorted(rows)
    assert {"experiment", "n_features", "protocol", "r2", "tau", "mae"} <= set(table.columns)
    scores = table.set_index(keys)["r2"]
    assert scores["arousal", "compare", "AT_64"] >= 0.6
    assert scores["valence", "compare", "AT_64"] >= 0.3


def test_shuffled_labels_cannot_be_learnt(demo: Path) -> None:
    results = demo / "results"
    clips = pd.read_parquet(results / "corpus/clips.parquet")
    sequences = load_sequences(
        results / "features/compare.parquet",
        results / "corpus/annotations.parquet",
        list(clips["clip_id"]),
    )
    sequences.labels = np.random.default_rng(0).permutation(sequences.labels)
    (fold,) = make_folds(clips, Protocol("official", 2, 0.2), seed=1)
    settings = TrainingSettings(max_epochs=20)
    data = prepare_fold(sequences, fold, settings, torch.device("cpu"))
    for fit, validation, test in data.parts.values():
        predictions, _ = predict(fit_model("AT_64", fit, validation, settings, 1).model, test)
        error = ((predictions - test.labels) ** 2).mean() / test.labels.var(correction=0)
        assert 1 - error.item() < 0.2


def test_second_run_does_nothing(demo: Path) -> None:
    assert "Nothing to be done" in succeed(run_snakemake(demo, "all", config=DEMO))
    for path in [*demo.glob("results/**/*.parquet"), *demo.glob("resources/**/*.csv")]:
        path.touch()
    assert "Nothing to be done" in succeed(run_snakemake(demo, "all", config=DEMO))


def test_added_model_trains_nothing_else(demo: Path) -> None:
    first, second = DEMO["runs"]
    more = DEMO | {"runs": [first, second | {"models": ["AT_64", "LSTM_4"]}]}
    planned = succeed(run_snakemake(demo, "tables", "--dry-run", "--quiet", "rules", config=more))
    assert count_jobs(planned) == {
        "train_model": 1,
        "evaluate_models": 1,
        "build_tables": 1,
        "tables": 1,
        "total": 4,
    }


def test_other_demo_music_reruns_everything(demo: Path) -> None:
    other = DEMO | {"corpus": {"name": "demo", "seed": 7}}
    planned = list_jobs(succeed(run_snakemake(demo, "all", "--dry-run", config=other)))
    assert {"synthesise_demo", "inspect_audio", "build_corpus"} <= set(planned)
    assert "extract_features chroma" in planned
    assert "train_model compare AT_64" in planned
    assert "plot_chromagrams" in planned


def count_jobs(printed: str) -> dict[str, int]:
    lines = printed.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
    return {name: int(count) for name, count in (line.split() for line in lines)}


def test_the_published_grid_is_planned(tmp_path: Path) -> None:
    published = ("--configfile", str(ROOT / "experiments/paper.yaml"))
    planned = succeed(run_snakemake(tmp_path, "all", "--dry-run", *published))
    jobs = list_jobs(planned)
    trained = [job.split()[1:] for job in jobs if job.startswith("train_model")]
    counts = Counter(feature_set for feature_set, _ in trained)
    assert counts == {"compare": 37, "chroma": 9, "cqt": 9, "chroma_cqt": 9, "spectral": 9}
    assert {"AT_2048_1024_512", "BAT_2048", "Transformer_4"} <= {model for _, model in trained}


def test_report_holds_tables_and_figures(demo: Path) -> None:
    succeed(run_snakemake(demo, "--report", "report.html", config=DEMO))
    report = (demo / "report.html").read_text(encoding="utf-8")
    assert "arousal and valence over time" in report
    assert "all tables" in report


def test_workflow_is_lint_clean() -> None:
    command = [sys.executable, "-m", "snakemake", "--lint"]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"figures": {"clips": ["demo_1", "demo_07"]}},
            "'demo_1' is not a clip of the corpus demo",
        ),
        ({"corpus": {"name": "emomusic", "path": "nowhere"}}, "corpus.path: there is no /"),
        ({"corpus": {"name": "emomusic", "path": "/dev/null"}}, "/dev/null is not a folder"),
        (
            {"corpus": {"name": "manifest", "clips": "/tmp", "annotations": "/tmp"}},
            "corpus.clips: /tmp is not a file",
        ),
        ({"seds": [1]}, "seds: no such key (value [1]); did you mean seeds?"),
        ({"runs": {}}, "runs: cannot be empty (value {})"),
        ({"store": "/dev/null"}, "store: /dev/null is not a folder"),
    ],
)
def test_wrong_config_is_refused_before_any_job(
    tmp_path: Path, config: dict[str, Any], expected: str
) -> None:
    refused = run_snakemake(tmp_path, "all", config=config)
    printed = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert expected in printed
    assert "hint: " in printed
    assert "Traceback" not in printed and "Snakefile" not in printed
    assert not (tmp_path / "results").exists()


@pytest.fixture
def manifest(tmp_path: Path) -> dict[str, Any]:
    """Six clips on a scale of 1 to 9: two broken, two alike, one whose channels cancel out."""
    noise = np.random.default_rng(0).normal(0, 0.1, (3 * 44_100, 2))
    clips, annotations = ["clip_id,path,split"], ["clip_id,time_s,arousal,valence"]
    names = ["one", "two's", "три", "four 4", "silent", "missing"]
    for number, name in enumerate(names):
        if name != "missing":
            # Another header, but the same samples as the clip before.
            twin = name == "три"
            samples = noise[:, :1] * [1, -0.9] if name == "one" else noise * (name != "silent")
            samples = samples * 0.5 ** (number - twin)
            form = "WAVEX" if twin else "WAV"
            soundfile.write(tmp_path / f"{name}.wav", samples, 44_100, format=form)
        split = "evaluation" if number in (1, 2) else "development"
        clips.append(f"{number:03d},{name}.wav,{split}")
        annotations += [f"{number:03d},{time / 2},{1 + number},{9 - number}" for time in range(6)]
    (tmp_path / "clips.csv").write_text("\n".join(clips), encoding="utf-8")
    (tmp_path / "annotations.csv").write_text("\n".join(annotations), encoding="utf-8")
    return {
        "name": "manifest",
        "clips": str(tmp_path / "clips.csv"),
        "annotations": str(tmp_path / "annotations.csv"),
        "annotation_scale": [1, 9],
    }


def test_broken_clips_are_listed_and_left_out(tmp_path: Path, manifest: dict[str, Any]) -> None:
    config = {"corpus": manifest | {"max_excluded": 0.4}}
    succeed(run_snakemake(tmp_path / "run", "corpus", config=config))
    corpus = tmp_path / "run/results/corpus"
    notes = pd.read_csv(corpus / "files.csv", dtype="str", keep_default_na=False)["note"]
    assert notes[0].startswith("mixed to mono, its channels cancel each other")
    assert set(notes[1:]) == {""}
    log = (tmp_path / "run/logs/build_corpus.log").read_text(encoding="utf-8")
    assert f"look at 000 ({tmp_path}/one.wav): {notes[0]}" in log
    excluded = pd.read_csv(corpus / "excluded.csv", dtype="str").set_index("clip_id")["reason"]
    assert excluded["004"].startswith("silent")
    assert excluded["005"] == "missing file"
    assert len(excluded) == 2
    assert pd.read_parquet(corpus / "clips.parquet")["clip_id"].tolist() == [
        "000",
        "001",
        "002",
        "003",
    ]
    annotations = pd.read_parquet(corpus / "annotations.parquet")
    assert annotations["arousal"].unique().tolist() == [-1.0, -0.75, -0.5, -0.25]
    assert annotations["valence"].unique().tolist() == [1.0, 0.75, 0.5, 0.25]
    log = (tmp_path / "run/logs/build_corpus.log").read_text(encoding="utf-8")
    assert "the same audio: 001 (evaluation), 002 (evaluation)\n" in log


def test_files_dated_in_the_future_stop_nothing(tmp_path: Path, manifest: dict[str, Any]) -> None:
    tomorrow = time.time() + 86_400
    for path in tmp_path.iterdir():
        os.utime(path, (tomorrow, tomorrow))
    config = {"corpus": manifest | {"max_excluded": 0.4}}
    succeed(run_snakemake(tmp_path / "run", "corpus", config=config))
    planned = succeed(run_snakemake(tmp_path / "run", "corpus", "--dry-run", config=config))
    assert "Nothing to be done" in planned
    clips = tmp_path / "clips.csv"
    clips.write_text(clips.read_text(encoding="utf-8").replace("005,", "006,"), encoding="utf-8")
    planned = succeed(run_snakemake(tmp_path / "run", "corpus", "--dry-run", config=config))
    assert list_jobs(planned) == ["inspect_audio", "build_corpus"]


def test_too_many_broken_clips_stop_the_run(tmp_path: Path, manifest: dict[str, Any]) -> None:
    refused = run_snakemake(tmp_path / "run", "corpus", config={"corpus": manifest})
    printed = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "2 of 6 clips cannot be used, more than corpus.max_excluded = 0.05" in printed
    assert "silent: peak" in printed
    assert "missing.wav): missing file" in printed
    assert "Traceback" not in printed
    said, _, rest = printed.partition("Error in rule build_corpus:")
    assert "2 of 6 clips" in said and "2 of 6 clips" not in rest
    assert "logs/build_corpus.log" in rest
    for noise in ("message: None", "CalledProcessError", ".snakemake/scripts"):
        assert noise not in printed


def test_constant_labels_stop_the_run(tmp_path: Path, manifest: dict[str, Any]) -> None:
    annotations = pd.read_csv(manifest["annotations"], dtype={"clip_id": "str"})
    annotations.loc[annotations["clip_id"].isin(["001", "002"]), "valence"] = 7
    annotations.to_csv(manifest["annotations"], index=False)
    config = {"corpus": manifest | {"max_excluded": 0.4}}
    refused = run_snakemake(tmp_path / "run", "corpus", config=config)
    printed = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "valence is 0.5 at every frame of the tested clips (2)" in printed
    assert "Traceback" not in printed


def test_failed_download_says_what_to_do(tmp_path: Path) -> None:
    # Nothing listens on port 9 (discard) of this machine.
    corpus = {"name": "emomusic", "url": "http://127.0.0.1:9/"}
    refused = run_snakemake(tmp_path, "corpus", config={"corpus": corpus})
    printed = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "http://127.0.0.1:9/clips_45sec.tar.gz: cannot be downloaded" in printed
    assert "hint: fetch the file by other means, put it at" in printed
    assert "Traceback" not in printed


def test_real_excerpts_run_to_tables_and_figures(tmp_path: Path, real_music: Path) -> None:
    excerpts = real_music / "emomusic-excerpts"
    (tmp_path / "clips").mkdir()
    # Songs 3 and 5 are evaluation clips; what is not linked is not in the corpus.
    for song in (2, 3, 4, 5, 7, 8, 10, 12, 13, 17, 18, 19, 20, 21):
        (tmp_path / f"clips/{song}.mp3").symlink_to(excerpts / f"clips/{song}.mp3")
    corpus = {
        "name": "emomusic",
        "path": str(tmp_path),
        "annotations": str(excerpts / "annotations"),
        "offset_s": 30,
    }
    succeed(run_snakemake(tmp_path / "run", "all", config={"corpus": corpus, **TINY}))
    results = tmp_path / "run/results"
    features = pd.read_parquet(results / "features/chroma.parquet")
    assert len(features) == 14 * 20
    assert features["time_s"].unique().tolist() == [30 + frame / 2 for frame in range(20)]
    assert "Published" in (results / "tables.html").read_text(encoding="utf-8")
    assert (results / "figures/chromagrams.png").exists()
