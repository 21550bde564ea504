"""Train one model on one feature set: all seeds, folds and targets."""

from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.reruns.recipe import Recipe
    from emotrace.reruns.store import open_store
    from emotrace.splits.protocol import Protocol
    from emotrace.training.job import train_all
    from emotrace.training.sequences import load_sequences, read_clips

    params, wildcards = snakemake.params, snakemake.wildcards
    inputs = snakemake.input
    clips = read_clips(inputs.clips, inputs.table)
    digest = train_all(
        load_sequences(inputs.table, inputs.annotations, list(clips["clip_id"])),
        clips,
        recipe=Recipe(**params.recipe).adopt_libraries(),
        protocol=Protocol(**params.protocol),
        seeds=params.seeds,
        feature_set=wildcards.feature_set,
        store=open_store(snakemake.config["store"]),
        folder=Path(snakemake.output.predictions).parent,
        threads=snakemake.threads,
        gpu_slots=snakemake.config["gpu_slots"],
    )
    Path(snakemake.output.digest).write_text(f"{digest}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
