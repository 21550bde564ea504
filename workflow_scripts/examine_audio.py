"""Decode every audio file of the corpus and note what it is."""

from pathlib import Path

from emotrace.jobs import run_job


def main() -> None:
    import pandas as pd

    from emotrace.corpus.files import digest_audio
    from emotrace.corpus.listing import list_files
    from emotrace.corpus.store import ExaminationStore
    from emotrace.errors import EmotraceError
    from emotrace.parallel import map_clips
    from emotrace.provenance import digest_tables
    from emotrace.store import open_store

    output = snakemake.output
    listed = pd.DataFrame(list_files(snakemake.params.corpus))
    if listed.empty:
        raise EmotraceError(
            "the corpus lists no clip",
            hint="look whether the block corpus of the config names the right files",
        )
    store = open_store(snakemake.config["store"])
    kept = ExaminationStore(store.root)
    examined = map_clips(
        kept.examine_audio,
        list(listed["path"]),
        label="examined",
        threads=snakemake.threads,
        memory_mb=snakemake.resources.mem_mb,
    )
    files = pd.concat([listed, pd.DataFrame(examined)], axis=1)
    store.claim(Path(output.files), (kept.locate(sha256) for sha256 in files["sha256"] if sha256))
    files.to_csv(output.files, index=False)
    Path(output.listing).write_text(f"{snakemake.params.listing}\n", encoding="utf-8")
    found = digest_tables(files.drop(columns=["size", "mtime_ns"]))
    Path(output.digest).write_text(f"{found}\n", encoding="utf-8")
    Path(output.audio).write_text(f"{digest_audio(files)}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
