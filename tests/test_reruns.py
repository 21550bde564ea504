"""Reruns exactly as large as the change: which jobs run, and what they take from the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.bench import (
    BASELINES,
    DRAWING,
    EVERYTHING,
    ON_COMPARE,
    RETRAINED,
    TABLES,
    TRAININGS,
    Bench,
    add_model,
    add_seed,
    add_ten_clips_and_remove_one,
    change_annotation,
    change_annotation_scale,
    change_facts,
    change_figure,
    change_hyperparameter,
    change_metric,
    change_model,
    change_nothing,
    change_protocol,
    change_splits,
    change_table,
    change_values_of_compare,
    comment_every_module,
    copy_results_to_a_fresh_clone,
    move_a_module,
    replace_a_file,
    reword_errors_hints_and_docstrings,
    rewrite_compare_alike,
    touch_everything,
    update_librosa,
    update_opensmile,
    update_torch,
    widen_windows_of_compare,
    write_the_config_otherwise,
)
from tests.workflow import list_jobs

pytestmark = pytest.mark.slow


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


def test_products_without_records_are_made_again_from_the_store(bench: Bench) -> None:
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


def test_explain_describes_the_next_run(bench: Bench) -> None:
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


def test_explain_works_under_a_quiet_profile(bench: Bench) -> None:
    profile = bench.folder.parent / "quiet"
    profile.mkdir()
    (profile / "config.yaml").write_text("quiet: [all]\n", encoding="utf-8")
    add_model(bench)
    assert "Mine_2 on compare: not made yet" in bench.run("explain", "--profile", str(profile))


def test_explain_names_trainings_that_may_not_be_needed(bench: Bench) -> None:
    rewrite_compare_alike(bench)
    explained = bench.run("explain").splitlines()
    assert "compare: 12 clips to compute (its code has changed)" in explained
    assert "AT_2 on compare: only if the features come out different" in explained
