"""Choose the models and the clips that the figures show."""

from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    import pandas as pd

    from emotrace.evaluation.choices import choose_examples
    from emotrace.evaluation.validation import read_validation
    from emotrace.reruns.checksums import read_table, write_json

    params, inputs = snakemake.params, snakemake.input
    tested = read_table(inputs.predictions, columns=["clip_id"])["clip_id"].unique()
    validation = [
        {"model": file.parent.name, "target": target, **scores}
        for file in map(Path, inputs.history)
        for target, scores in read_validation(file).items()
    ]
    examples = choose_examples(
        pd.DataFrame(validation),
        read_table(inputs.annotations),
        list(tested),
        feature_set=params.feature_set,
        baseline=params.baseline,
        families=params.families,
        clips=params.clips,
    )
    write_json(examples, snakemake.output.examples)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
