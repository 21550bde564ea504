"""Write the metrics as tables: LaTeX for the paper, CSV for machines, HTML for reading."""

from pathlib import Path

from emotrace.jobs import run_job


def main() -> None:
    import pandas as pd

    from emotrace.evaluation.rendering import render_html, render_latex
    from emotrace.evaluation.tables import (
        Circumstances,
        build_tables,
        tabulate_scores,
        write_note,
    )

    params, output = snakemake.params, snakemake.output
    metrics = pd.read_parquet(snakemake.input.metrics)
    clips = pd.read_parquet(snakemake.input.clips)
    about = Circumstances(
        corpus=params.corpus,
        n_corpus_clips=len(clips),
        n_excluded=len(pd.read_csv(snakemake.input.excluded)),
        offset_s=float(clips["offset_s"].min()),
        windows_s=params.windows_s,
        hop_s=params.hop_s,
        feature_set=params.evaluation["feature_set"],
        baseline=params.evaluation["baseline"],
        n_samples=params.evaluation["bootstrap_samples"],
    )
    tables, note = build_tables(metrics, about), write_note(metrics, about)
    Path(output.tex).write_text(render_latex(tables, note), encoding="utf-8")
    title = f"{params.experiment}: results"
    Path(output.html).write_text(render_html(tables, note, title=title), encoding="utf-8")
    tabulate_scores(metrics, about).to_csv(output.csv, index=False, float_format="%.6g")


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
