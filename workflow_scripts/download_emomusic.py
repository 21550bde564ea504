"""Download emoMusic as published and unpack it."""

from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.corpora.emomusic import BASE_URL, download_emomusic, unpack_emomusic
    from emotrace.reruns.digests import digest_files

    dataset = Path(snakemake.output.dataset)
    # Beside the output and not in it: Snakemake deletes the output of a failed job.
    archives = dataset.parent / "archives"
    url = snakemake.config["corpus"].get("url", BASE_URL)
    download_emomusic(archives, base_url=url)
    unpack_emomusic(archives, dataset)
    digest = digest_files(*sorted(path for path in dataset.rglob("*") if path.is_file()))
    Path(snakemake.output.digest).write_text(f"{digest}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
