"""Download emoMusic as published, and unpack it."""

from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.corpora.emomusic import Corpus, unpack_archives
    from emotrace.reruns.digests import digest_files

    dataset = Path(snakemake.output.dataset)
    # Not inside the output folder, since Snakemake deletes the output of a failed job.
    archives = dataset.parent / "archives"
    Corpus(url=snakemake.config["corpus"].get("url", Corpus.url)).download(archives)
    unpack_archives(archives, dataset)
    digest = digest_files(*sorted(path for path in dataset.rglob("*") if path.is_file()))
    Path(snakemake.output.digest).write_text(f"{digest}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
