"""Decide which models and which clips the figures show."""

import json
from pathlib import Path

from emotrace.jobs import run_job
from emotrace.records import record_job


def main() -> None:
    import pandas as pd

    from emotrace.evaluation.choices import choose_examples
    from emotrace.evaluation.validation import read_validation

    params, inputs = snakemake.params, snakemake.input
    tested = pd.read_parquet(inputs.predictions, columns=["clip_id"])["clip_id"].unique()
    validation = [
        {"model": file.parent.name, "target": target, **scores}
        for file in map(Path, inputs.history)
        for target, scores in read_validation(file).items()
    ]
    examples = choose_examples(
        pd.DataFrame(validation),
        pd.read_parquet(inputs.annotations),
        list(tested),
        feature_set=params.feature_set,
        baseline=params.baseline,
        clips=params.clips,
    )
    Path(snakemake.output.examples).write_text(json.dumps(examples, indent=2) + "\n")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
