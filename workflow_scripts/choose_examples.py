"""Decide which models and which clips the figures show."""

import json
from pathlib import Path

from emotrace.jobs import run_job


def main() -> None:
    import pandas as pd

    from emotrace.evaluation.choices import choose_examples

    evaluation = snakemake.params.evaluation
    tested = pd.read_parquet(snakemake.input.predictions, columns=["clip_id"])["clip_id"].unique()
    examples = choose_examples(
        pd.read_parquet(snakemake.input.metrics),
        pd.read_parquet(snakemake.input.annotations),
        list(tested),
        feature_set=evaluation["feature_set"],
        baseline=evaluation["baseline"],
        clips=snakemake.params.clips,
    )
    Path(snakemake.output.examples).write_text(json.dumps(examples, indent=2) + "\n")


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
