"""Write the metrics as tables: LaTeX for a paper, CSV for programs, HTML for reading."""

from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.corpora.exclusion import read_excluded
    from emotrace.evaluation.rendering import render_html, render_latex
    from emotrace.evaluation.table import Circumstances, Evaluation
    from emotrace.evaluation.tables import build_tables, tabulate_scores, write_note
    from emotrace.reruns.checksums import read_table
    from emotrace.splits.folds import describe_division

    params, inputs, output = snakemake.params, snakemake.input, snakemake.output
    found = Evaluation(
        metrics=read_table(inputs.metrics),
        comparisons=read_table(inputs.comparisons),
        groups=read_table(inputs.groups),
    )
    clips = read_table(inputs.clips)
    about = Circumstances(
        corpus=params.corpus,
        n_corpus_clips=len(clips),
        n_excluded=len(read_excluded(inputs.excluded)),
        n_not_computed={
            feature_set: len(read_excluded(table))
            for feature_set, table in zip(params.windows_s, inputs.not_computed, strict=True)
        },
        offset_s=float(clips["offset_s"].min()),
        windows_s=params.windows_s,
        hop_s=params.hop_s,
        feature_set=params.evaluation["feature_set"],
        baseline=params.evaluation["baseline"],
        n_samples=params.evaluation["bootstrap_samples"],
        remarks=describe_division(clips, found.metrics["protocol"].iloc[0]),
    )
    tables, note = build_tables(found, about), write_note(found, about)
    Path(output.tex).write_text(render_latex(tables, note), encoding="utf-8")
    title = f"{params.experiment}: results"
    Path(output.html).write_text(render_html(tables, note, title=title), encoding="utf-8")
    tidy = tabulate_scores(found.metrics, about)
    for table, path in (
        (tidy, output.csv),
        (found.comparisons, output.comparisons),
        (found.groups, output.groups),
    ):
        table.to_csv(path, index=False, float_format="%.6g")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
