"""Score every training run."""

from pathlib import Path

from emotrace.jobs import run_job


def main() -> None:
    import pandas as pd

    from emotrace.evaluation.scores import score_runs
    from emotrace.provenance import digest_tables

    params = snakemake.params
    folders = [Path(file).parent for file in snakemake.input.predictions]
    runs = [tuple(run) for run in params.runs]
    metrics = score_runs(
        dict(zip(runs, folders, strict=True)),
        pd.read_parquet(snakemake.input.annotations),
        dict(zip(params.feature_sets, map(Path, snakemake.input.tables), strict=True)),
        experiment=params.experiment,
        protocol=params.protocol,
        n_samples=params.bootstrap_samples,
    )
    metrics.to_parquet(snakemake.output.metrics, index=False)
    digest = digest_tables(metrics)
    Path(snakemake.output.digest).write_text(f"{digest}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
