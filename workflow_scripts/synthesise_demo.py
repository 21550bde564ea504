"""Synthesise the demo corpus: audio files and the two CSV files that describe them."""

from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from functools import partial

    from emotrace.corpora.demo_music import synthesise_corpus
    from emotrace.reruns.digests import digest_files
    from emotrace.runtime.parallel import map_clips
    from emotrace.runtime.workers import Workers

    corpus, output = snakemake.params.corpus, snakemake.output
    synthesise_corpus(
        Path(output.clips).parent,
        n_clips=corpus["n_clips"],
        duration_s=corpus["duration_s"],
        seed=corpus["seed"],
        map_clips=partial(
            map_clips,
            label="synthesised",
            workers=Workers(snakemake.threads, snakemake.resources.mem_mb),
        ),
    )
    files = [output.clips, output.annotations, *sorted(Path(output.audio).iterdir())]
    Path(output.digest).write_text(f"{digest_files(*files)}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
