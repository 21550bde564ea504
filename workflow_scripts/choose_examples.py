"""Decide which models and which clips the figures show."""

from pathlib import Path

from emotrace.jobs import run_job


def main() -> None:
    import pandas as pd

    from emotrace.checksums import read_table, write_json
    from emotrace.evaluation.choices import choose_examples
    from emotrace.evaluation.validation import read_validation

    params, inputs = snakemake.params, snakemake.input
    tested = read_table(inputs.predictions, columns=["clip_id"])["clip_id"].unique()
    validation = [
        {"model": file.parent.name, "target": target, "validation_r2": r2}
        for file in map(Path, inputs.history)
        for target, r2 in read_validation(file).items()
    ]
    examples = choose_examples(
        pd.DataFrame(validation),
        read_table(inputs.annotations),
        list(tested),
        feature_set=params.feature_set,
        baseline=params.baseline,
        clips=params.clips,
    )
    write_json(examples, snakemake.output.examples)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output):
        main()
