"""Decode every audio file of the corpus, and record its properties."""

from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    import os
    from functools import partial

    import pandas as pd

    from emotrace.corpora.corpus import load_corpus
    from emotrace.corpora.files import digest_audio, digest_findings, read_files
    from emotrace.corpora.inspection import Inspection
    from emotrace.corpora.inspections import inspect_audio
    from emotrace.corpora.listing import list_files
    from emotrace.reruns.recipe import Recipe
    from emotrace.reruns.store import open_store
    from emotrace.runtime.errors import EmotraceError
    from emotrace.runtime.parallel import KILLED, map_clips
    from emotrace.runtime.workers import Workers

    output, config, resources = snakemake.output, snakemake.config, snakemake.resources
    listed = pd.DataFrame(list_files(load_corpus(snakemake.params.corpus)))
    if listed.empty:
        raise EmotraceError(
            "the corpus lists no clip",
            hint="look whether the block corpus of the config names the right files",
        )
    store = open_store(config["store"])
    recipe = Recipe(**snakemake.params.recipe).adopt_libraries()
    inspected = map_clips(
        partial(inspect_audio, store=store, recipe=recipe),
        list(map(os.path.abspath, listed["path"])),
        label="inspected",
        workers=Workers(
            snakemake.threads,
            resources.mem_mb,
            config["dask_cluster"],
            resources.runtime,
            config["dask_network_is_trusted"],
        ),
        if_killed=lambda path: Inspection(KILLED),
    )
    files = pd.concat([listed, pd.DataFrame(inspected)], axis=1)
    store.claim(
        Path(output.files), (store.locate(recipe, sha256) for sha256 in files["sha256"] if sha256)
    )
    files.to_csv(output.files, index=False)
    Path(output.listing).write_text(f"{snakemake.params.listing}\n", encoding="utf-8")
    files = read_files(output.files)  # read again, as by the rules that verify the digest
    Path(output.digest).write_text(f"{digest_findings(files)}\n", encoding="utf-8")
    Path(output.audio).write_text(f"{digest_audio(files)}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
