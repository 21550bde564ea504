"""What products were made with stands beside them, and is true."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from emotrace.reruns.records import (
    INCOMPLETE,
    UNKNOWN,
    lacks_file,
    name_record,
    recall_job,
    record_job,
)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.chdir(tmp_path)
    Path("small.digest").write_text("abc")
    Path("large.parquet").write_bytes(bytes(2_000_000))
    return SimpleNamespace(
        rule="train_model",
        input=["small.digest", "large.parquet"],
        output=["results/table.parquet", "results/weights"],
        params={"seeds": [2, 1], "protocol": {"name": "official", "share": 0.2}},
    )


def make(job: SimpleNamespace) -> None:
    Path("results/weights").mkdir(parents=True, exist_ok=True)
    with record_job(job):
        Path("results/table.parquet").touch()
        Path("results/weights/one.safetensors").touch()
        Path("results/weights/.hidden").touch()


def test_a_record_says_what_snakemake_would_compare(job: SimpleNamespace) -> None:
    make(job)
    assert recall_job(job.output) == {
        "rule": "train_model",
        "input": ["large.parquet", "small.digest"],
        "input_checksums": {
            "small.digest": "sha256:"
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        },
        "params": ["[2, 1]", "{'name': 'official', 'share': 0.2}"],
    }


def test_a_job_that_fails_leaves_no_record_of_an_earlier_one(job: SimpleNamespace) -> None:
    make(job)
    with pytest.raises(KeyboardInterrupt), record_job(job):
        raise KeyboardInterrupt
    assert recall_job(job.output) == {"params": [UNKNOWN]}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"made_with": 1, "sha256": 2}', "\xff{"])
def test_a_record_that_is_none_says_nothing(job: SimpleNamespace, content: str) -> None:
    make(job)
    name_record(job.output).write_text(content, encoding="latin-1")
    assert recall_job(job.output) == {"params": [UNKNOWN]}


def test_a_record_with_a_flipped_bit_is_not_believed(job: SimpleNamespace) -> None:
    make(job)
    record = name_record(job.output)
    content, recalled = record.read_bytes(), recall_job(job.output)
    for place in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            record.write_bytes(damaged)
            # In white space it changes nothing.
            assert recall_job(job.output) in ({"params": [UNKNOWN]}, recalled)


def test_a_folder_that_lost_a_file_is_not_taken_for_whole(job: SimpleNamespace) -> None:
    make(job)
    assert not lacks_file(job.output)
    Path("results/weights/one.safetensors").unlink()
    assert lacks_file(job.output)
    assert recall_job(job.output) == {"params": [INCOMPLETE]}


def test_a_product_is_not_current_once_a_result_that_it_was_made_of_is_gone(
    job: SimpleNamespace,
) -> None:
    job.input = ["results/metrics.digest", "results/features/shards/chroma/1-of-2.csv"]
    for path in map(Path, job.input):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    make(job)
    Path(job.input[1]).unlink()  # as Snakemake does with temporary files
    assert not lacks_file(job.output)
    Path(job.input[0]).unlink()
    assert lacks_file(job.output)
