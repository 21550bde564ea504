"""Extract one feature set from every clip of the corpus."""

from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.corpora.files import digest_audio, read_verified_files, select_usable
    from emotrace.features.extraction import extract_table, list_excluded, read_known
    from emotrace.reruns.recipe import Recipe
    from emotrace.reruns.store import open_store
    from emotrace.runtime.workers import Workers

    params, inputs, output = snakemake.params, snakemake.input, snakemake.output
    config, resources = snakemake.config, snakemake.resources
    files = read_verified_files(inputs.files, inputs.digest, digest_audio)
    extraction = extract_table(
        select_usable(files),
        recipe=Recipe(**params.recipe).adopt_libraries(),
        store=open_store(config["store"]),
        path=Path(output.table),
        workers=Workers(
            snakemake.threads,
            resources.mem_mb,
            config["dask_cluster"],
            resources.runtime,
            config["dask_network_is_trusted"],
        ),
        max_excluded=params.max_excluded,
        known=read_known(inputs.shards),
    )
    list_excluded(extraction.excluded).to_csv(output.excluded, index=False)
    Path(output.digest).write_text(f"{extraction.digest}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
