"""Synthesise the demo corpus: audio files and the two CSV files that describe them."""

from pathlib import Path

from emotrace.jobs import run_job


def main() -> None:
    from functools import partial

    from emotrace.corpus.demo import synthesise_corpus
    from emotrace.parallel import map_clips

    corpus = snakemake.params.corpus
    synthesise_corpus(
        Path(snakemake.output.clips).parent,
        n_clips=corpus["n_clips"],
        duration_s=corpus["duration_s"],
        seed=corpus["seed"],
        map_clips=partial(
            map_clips,
            label="synthesised",
            threads=snakemake.threads,
            memory_mb=snakemake.resources.mem_mb,
        ),
    )


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
