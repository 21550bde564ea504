"""Score every model and baseline, compare them, and score groups of songs."""

from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.evaluation.sanity_checks import check_consistency, check_for_leaks
    from emotrace.evaluation.scores import (
        compare_runs,
        divide_songs,
        score_groups,
        score_runs,
        summarise_baselines,
        summarise_runs,
    )
    from emotrace.reruns.checksums import read_schema, read_table, write_table
    from emotrace.reruns.digests import digest_tables
    from emotrace.splits.protocol import Protocol
    from emotrace.training.sequences import read_clips

    params, inputs, output = snakemake.params, snakemake.input, snakemake.output
    runs = [tuple(run) for run in params.runs]
    folders = [Path(file).parent for file in inputs.predictions]
    annotations = read_table(inputs.annotations)
    summaries = summarise_runs(dict(zip(runs, folders, strict=True)), annotations)
    baselines = dict(zip(params.feature_sets, inputs.baselines, strict=True))
    summaries |= summarise_baselines(baselines, annotations, params.n_annotators)
    tables = dict(zip(params.feature_sets, inputs.tables, strict=True))
    n_samples = params.bootstrap_samples
    metrics = score_runs(
        summaries,
        {feature_set: len(read_schema(table)) - 2 for feature_set, table in tables.items()},
        experiment=params.experiment,
        protocol=params.protocol["name"],
        n_samples=n_samples,
    )
    check_for_leaks(metrics)
    check_consistency(metrics)
    comparisons = compare_runs(summaries, metrics, n_samples)
    songs = {
        feature_set: divide_songs(read_clips(inputs.clips, table), Protocol(**params.protocol))
        for feature_set, table in tables.items()
    }
    groups = score_groups(summaries, metrics, songs, n_samples)

    write_table(metrics, output.metrics)
    write_table(comparisons, output.comparisons)
    write_table(groups, output.groups)
    digest = digest_tables(metrics, comparisons, groups)
    Path(output.digest).write_text(f"{digest}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
