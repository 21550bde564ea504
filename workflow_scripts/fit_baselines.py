"""Predict the test clips by all baselines."""

from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.evaluation.baselines import predict_baselines
    from emotrace.reruns.checksums import write_table
    from emotrace.reruns.digests import digest_tables
    from emotrace.splits.protocol import Protocol
    from emotrace.training.sequences import load_sequences, read_clips

    inputs, output = snakemake.input, snakemake.output
    clips = read_clips(inputs.clips, inputs.table)
    sequences = load_sequences(inputs.table, inputs.annotations, list(clips["clip_id"]))
    predictions = predict_baselines(
        sequences, clips, protocol=Protocol(**snakemake.params.protocol)
    )
    write_table(predictions, output.predictions)
    Path(output.digest).write_text(f"{digest_tables(predictions)}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
