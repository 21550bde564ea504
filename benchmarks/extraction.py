"""How the workflow scales with the number of clips, from the audio to what a model reads.

    python benchmarks/extraction.py 200 2000 20000

For each number, the workflow inspects a corpus of so many clips and extracts `spectral`,
and is planned with all feature sets. A clip lasts three seconds and takes 0.1 MB in the
folder for temporary files. There are only a few sounds, but each clip begins at another
moment of one, because of equal files the workflow would compute one.

Machines differ, so rates, in clips per second, are also given as multiples of the rate at
which one process without Dask inspects the same sounds, or else computes them; times of
whole commands as multiples of planning an empty workflow; the memory of reading as a
multiple of the values in float32. Memory is the peak of a process, with what it shares
with others. What a job does after its workers, to list what was inspected or to put the
table together, begins with stopping them.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
from workflow import Usage, build_command, measure, plan_finished, plan_nothing, write_tables

from emotrace.features import list_feature_sets
from emotrace.runtime.workers import SINGLE_THREADED

FEATURE_SET = "spectral"
CLIP_S = 3
FRAME_S = 0.5
N_SOUNDS = 24
"""Sounds that the clips of a corpus are made of."""

SAMPLES_BETWEEN_CLIPS = 101
"""Between the beginnings of two clips of one sound; a prime, so that no two clips are equal."""

SECONDS_BETWEEN_LOOKS = 0.2


@dataclass
class Job:
    """What a job of the workflow took.

    Parameters
    ----------
    rate : float
        Clips per second of its workers.
    finishing_s : float
        Seconds from the end of its workers to its own, or a little more.
    driver_mb, worker_mb : float
        Peak memory of the job's own process and of its largest worker.
    """

    rate: float = 0.0
    finishing_s: float = 0.0
    driver_mb: float = 0.0
    worker_mb: float = 0.0


@dataclass(frozen=True)
class Alone:
    """What one process does without Dask, in clips per second."""

    inspected: float
    computed: float


@dataclass(frozen=True)
class Reading:
    """What it takes to read features for training.

    Parameters
    ----------
    seconds : float
    grown_mb : float
        Memory that the process took for it.
    values_mb : float
        Size of the values alone.
    """

    seconds: float
    grown_mb: float
    values_mb: float


def make_corpus(folder: Path, n_clips: int) -> dict[str, Any]:
    """Write a corpus of short clips, and return its config."""
    folder.mkdir()
    clip_ids = [f"{number:06}" for number in range(n_clips)]
    run_alone(write_audio, folder, clip_ids)
    return write_tables(folder, clip_ids, suffix=".flac", n_frames=round(CLIP_S / FRAME_S))


def write_audio(folder: Path, clip_ids: Sequence[str]) -> None:
    """Write a few sounds into many files, each from another moment on and round again."""
    import numpy as np
    import soundfile

    from emotrace.audio.decoding import SAMPLE_RATE
    from emotrace.corpora.demo_music import LEAST_DURATION_S, synthesise_clip
    from emotrace.corpora.demo_names import demo_clip_ids

    sounds = []
    for name in demo_clip_ids(N_SOUNDS):
        clip = synthesise_clip(name, n_clips=N_SOUNDS, duration_s=LEAST_DURATION_S, seed=1)
        sounds.append(clip.samples[: CLIP_S * SAMPLE_RATE])
    for number, clip_id in enumerate(clip_ids):
        moment = number // N_SOUNDS * SAMPLES_BETWEEN_CLIPS
        samples = np.roll(sounds[number % N_SOUNDS], -moment)
        soundfile.write(folder / f"{clip_id}.flac", samples, SAMPLE_RATE)


def work_alone(music: Path) -> Alone:
    """Inspect and compute each sound once, in this process."""
    from emotrace.audio.frames import FrameGrid
    from emotrace.corpora.inspection import inspect_file
    from emotrace.features.clip import Request, extract_clip
    from emotrace.features.compilation import compile_functions

    grid = FrameGrid(window_s=FRAME_S, hop_s=FRAME_S)
    compile_functions(FEATURE_SET, grid)
    paths = [str(path) for path in sorted(music.glob("*.flac"))[:N_SOUNDS]]
    requests = []
    for path in paths:
        sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        requests.append(Request(FEATURE_SET, path, path, sha256, 0.0, grid))
    # Computed first, because importing what decodes audio takes longer than inspecting.
    computed = measure_rate(extract_clip, requests)
    return Alone(measure_rate(inspect_file, paths), computed)


def measure_rate(function: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """Return for how many items a second a function can be called."""
    started = time.perf_counter()
    for item in items:
        function(item)
    return len(items) / (time.perf_counter() - started)


def read_alone(folder: Path) -> Reading:
    """Read the features and annotations of all clips, in this process."""
    import pandas as pd

    from emotrace.training.sequences import load_sequences

    corpus = folder / "results/corpus"
    clip_ids = list(pd.read_parquet(corpus / "clips.parquet")["clip_id"])
    before_mb = read_peak(os.getpid())
    started = time.perf_counter()
    sequences = load_sequences(
        folder / f"results/features/{FEATURE_SET}.parquet",
        corpus / "annotations.parquet",
        clip_ids,
    )
    seconds = time.perf_counter() - started
    grown_mb = read_peak(os.getpid()) - before_mb
    return Reading(seconds, grown_mb, sequences.features.nbytes / 1e6)


def run_alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def run_job(command: list[str], product: str, log: str, folder: Path) -> Job:
    """Let the workflow run the job that makes a product."""
    with watch_processes() as job:
        measure(*command, product, cwd=folder)
    job.rate = float(re.findall(r"(\S+) clips/s", (folder / log).read_text())[-1])
    return job


@contextmanager
def watch_processes() -> Iterator[Job]:
    """Look now and then at the processes of the job that runs meanwhile."""
    job, done = Job(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(job, done))
    watcher.start()
    try:
        yield job
    finally:
        done.set()
        watcher.join()


def _watch(job: Job, done: threading.Event) -> None:
    driver_seen = worker_seen = time.perf_counter()
    while not done.wait(SECONDS_BETWEEN_LOOKS):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error, OSError):  # It has ended.
                command = " ".join(process.cmdline())
                if "/.snakemake/scripts/" in command:
                    driver_seen = time.perf_counter()
                    job.driver_mb = max(job.driver_mb, read_peak(process.pid))
                elif "spawn_main" in command:
                    worker_seen = time.perf_counter()
                    job.worker_mb = max(job.worker_mb, read_peak(process.pid))
    job.finishing_s = max(driver_seen - worker_seen, SECONDS_BETWEEN_LOOKS)


def read_peak(pid: int) -> float:
    """Return the peak of a process's memory in MB; 0 if it has just ended."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1000 if found else 0.0


def measure_disk(*places: Path) -> float:
    """Return what files, and those below folders, take on the disk, in kB."""
    files = (file for place in places for file in (place, *place.rglob("*")))
    return sum(file.stat().st_blocks for file in files) * 512 / 1000


def benchmark(folder: Path, n_clips: int) -> dict[str, str]:
    """Run and plan the workflow on a corpus, and return a column of the table."""
    music, table = folder / "music", f"results/features/{FEATURE_SET}.parquet"
    config = {
        "corpus": make_corpus(music, n_clips),
        "runs": [{"feature_sets": list_feature_sets(), "models": ["LSTM_1"]}],
        "evaluation": {"baseline": "LSTM_1"},
    }
    command = build_command(folder, config)
    alone, empty = run_alone(work_alone, music), plan_nothing()
    new = measure(*command, "tables", "figures", "--dry-run", cwd=folder)
    inspection = run_job(command, "results/corpus/files.csv", "logs/inspect_audio.log", folder)
    corpus = measure(*command, "corpus", cwd=folder)
    extraction = run_job(command, table, f"logs/extract_features/{FEATURE_SET}.log", folder)
    reading = run_alone(read_alone, folder)
    store_kb, table_kb = measure_disk(folder / "store"), measure_disk(folder / table)
    finished = plan_finished([*command, "tables", "figures"], folder)
    return {
        "clips": f"{n_clips:,}",
        "inspected": describe_rate(inspection.rate, alone.inspected),
        "listed": describe_rate(n_clips / inspection.finishing_s, alone.computed),
        "inspecting: driver, worker": describe_memory(inspection),
        "corpus built": describe_usage(corpus, empty),
        "computed": describe_rate(extraction.rate, alone.computed),
        "put together": describe_rate(n_clips / extraction.finishing_s, alone.computed),
        "computing: driver, worker": describe_memory(extraction),
        "store, table": f"{store_kb / n_clips:.1f}, {table_kb / n_clips:.1f} kB a clip",
        "planned, new": describe_usage(new, empty),
        "planned, finished": describe_usage(finished, empty),
        "read": describe_rate(n_clips / reading.seconds, alone.computed),
        "reading": f"{reading.grown_mb:.0f} MB ({reading.grown_mb / reading.values_mb:.1f} x)",
    }


def describe_rate(rate: float, reference: float) -> str:
    """Say how many clips a second went through, beside what one process does."""
    return f"{rate:,.1f}/s ({rate / reference:,.2f} x)"


def describe_memory(job: Job) -> str:
    """Say how much memory a job's own process and its largest worker had."""
    return f"{job.driver_mb:.0f}, {job.worker_mb:.0f} MB"


def describe_usage(usage: Usage, empty: Usage) -> str:
    """Say what a command took, beside what planning nothing takes."""
    seconds = f"{usage.seconds:.1f} s ({usage.seconds / empty.seconds:.1f} x)"
    return f"{seconds}, {usage.memory_mb:.0f} MB"


def print_table(columns: Sequence[dict[str, str]]) -> None:
    """Print a Markdown table."""
    for number, name in enumerate(columns[0]):
        print(f"| {' | '.join([name, *(column[name] for column in columns)])} |")
        if number == 0:
            print(f"|{' --- |' * (1 + len(columns))}")


def main() -> None:
    """Run the benchmark for each number of clips that the command names."""
    os.environ.update(SINGLE_THREADED)
    columns = []
    for n_clips in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as temporary:
            columns.append(benchmark(Path(temporary), n_clips))
    print_table(columns)


if __name__ == "__main__":
    main()
