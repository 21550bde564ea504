"""Join annotations and audio, and write the two tables that describe the corpus."""

import logging
from pathlib import Path

from emotrace.jobs import run_job

logger = logging.getLogger("emotrace.build_corpus")


def main() -> None:
    from emotrace.checksums import write_table
    from emotrace.corpus.checks import find_problems, refuse_constant
    from emotrace.corpus.exclusion import refuse_excess
    from emotrace.corpus.files import digest_findings, join_files, read_verified_files
    from emotrace.corpus.sources import read_corpus
    from emotrace.frames import FrameGrid
    from emotrace.provenance import digest_tables

    corpus, inputs, output = snakemake.params.corpus, snakemake.input, snakemake.output
    clips, annotations = read_corpus(corpus)
    files = read_verified_files(inputs.files, inputs.digest, digest_findings)
    clips = join_files(clips, files)
    excluded = find_problems(clips, annotations, FrameGrid(**snakemake.params.frames))
    for row in excluded.itertuples():
        logger.warning("left out %s (%s): %s", row.clip_id, row.path, row.reason)
    refuse_excess(excluded, len(clips), corpus["max_excluded"])

    clips = clips[~clips["clip_id"].isin(excluded["clip_id"])].sort_values("clip_id")
    annotations = annotations[annotations["clip_id"].isin(clips["clip_id"])]
    annotations = annotations.sort_values(["clip_id", "time_s"])
    refuse_constant(annotations)
    logger.info("%d clips, %d left out", len(clips), len(excluded))

    columns = ["clip_id", "path", "sha256", "samples_sha256", "offset_s", "duration_s"]
    columns += ["sample_rate", "channels", "split", "artist", "title", "genre"]
    write_table(clips[columns], output.clips)
    write_table(annotations, output.annotations)
    excluded.to_csv(output.excluded, index=False)
    digest = digest_tables(clips[columns], annotations, excluded)
    Path(output.digest).write_text(f"{digest}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output):
        main()
