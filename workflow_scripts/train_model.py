"""Train one model on one feature set: all seeds, folds and targets."""

import os
from pathlib import Path

from emotrace.jobs import run_job

# cuDNN's recurrent layers repeat themselves only if this is set before CUDA starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def main() -> None:
    import pandas as pd
    import torch

    from emotrace.training.job import train_all
    from emotrace.training.sequences import load_sequences

    torch.set_num_threads(snakemake.threads)
    clips = pd.read_parquet(snakemake.input.clips)
    train_all(
        snakemake.wildcards.model,
        load_sequences(snakemake.input.table, snakemake.input.annotations, list(clips["clip_id"])),
        clips,
        protocol=snakemake.params.protocol,
        seeds=snakemake.params.seeds,
        settings=snakemake.params.training,
        folder=Path(snakemake.output.predictions).parent,
    )


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
