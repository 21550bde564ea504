"""Train one model on one feature set: all seeds, folds and targets."""

import os
from pathlib import Path

from emotrace.jobs import run_job

# cuDNN's recurrent layers repeat themselves only if this is set before CUDA starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def main() -> None:
    import pandas as pd
    import torch

    from emotrace.provenance import refuse_changed_code
    from emotrace.store import open_store
    from emotrace.training.identity import identify_model
    from emotrace.training.job import train_all
    from emotrace.training.sequences import load_sequences

    params, wildcards = snakemake.params, snakemake.wildcards
    # Asked again here, where the libraries are those of this job's environment.
    identity = identify_model(
        wildcards.model,
        params.identity["settings"],
        new_torch_retrains=bool(params.identity["libraries"]),
    )
    refuse_changed_code(params.identity["code"], identity["code"], wildcards.model)
    torch.set_num_threads(snakemake.threads)
    clips = pd.read_parquet(snakemake.input.clips)
    digest = train_all(
        load_sequences(snakemake.input.table, snakemake.input.annotations, list(clips["clip_id"])),
        clips,
        identity=identity,
        protocol=params.protocol,
        seeds=params.seeds,
        feature_set=wildcards.feature_set,
        store=open_store(snakemake.config["store"]),
        folder=Path(snakemake.output.predictions).parent,
    )
    Path(snakemake.output.digest).write_text(f"{digest}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
