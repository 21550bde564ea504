"""Compute one feature set for a part of the clips."""

from pathlib import Path

from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.corpora.files import digest_audio, read_verified_files, select_usable
    from emotrace.features.extraction import extract_shard, list_excluded
    from emotrace.reruns.recipe import Recipe
    from emotrace.reruns.store import open_store
    from emotrace.runtime.workers import Workers

    params, inputs = snakemake.params, snakemake.input
    config, resources = snakemake.config, snakemake.resources
    feature_set, shard = snakemake.wildcards
    files = read_verified_files(inputs.files, inputs.digest, digest_audio)
    excluded = extract_shard(
        select_usable(files),
        recipe=Recipe(**params.recipe).adopt_libraries(),
        store=open_store(config["store"]),
        path=Path(f"results/features/{feature_set}.parquet"),
        shard=shard,
        workers=Workers(
            snakemake.threads,
            resources.mem_mb,
            config["dask_cluster"],
            resources.runtime,
            config["dask_network_is_trusted"],
        ),
        max_excluded=params.max_excluded,
    )
    list_excluded(excluded).to_csv(snakemake.output.excluded, index=False)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output):
        main()
