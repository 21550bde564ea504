"""Decode every audio file of the corpus and note what it is."""

from pathlib import Path

from emotrace.jobs import run_job


def main() -> None:
    from functools import partial

    import pandas as pd

    from emotrace.corpus.examination import examine_audio, locate_examination
    from emotrace.corpus.listing import digest_audio, list_files
    from emotrace.parallel import map_clips
    from emotrace.store import open_store

    output = snakemake.output
    listed = pd.DataFrame(list_files(snakemake.params.corpus))
    store = open_store(snakemake.config["store"])
    examined = map_clips(
        partial(examine_audio, store=store.root),
        list(listed["path"]),
        label="examined",
        threads=snakemake.threads,
        memory_mb=snakemake.resources.mem_mb,
    )
    files = pd.concat([listed, pd.DataFrame(examined)], axis=1)
    entries = (locate_examination(store.root, sha256) for sha256 in files["sha256"] if sha256)
    store.claim(Path(output.files), entries)
    files.to_csv(output.files, index=False)
    Path(output.listing).write_text(f"{snakemake.params.listing}\n", encoding="utf-8")
    Path(output.digest).write_text(f"{digest_audio(files)}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
