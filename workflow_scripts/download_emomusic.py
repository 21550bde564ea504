"""Download emoMusic as published and unpack it."""

from pathlib import Path

from emotrace.jobs import run_job


def main() -> None:
    from emotrace.corpus.emomusic import download_emomusic, unpack_emomusic

    dataset = Path(snakemake.output.dataset)
    # Beside the output and not in it: Snakemake deletes the output of a failed job.
    archives = dataset.parent / "archives"
    download_emomusic(archives, base_url=snakemake.params.url)
    unpack_emomusic(archives, dataset)


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
