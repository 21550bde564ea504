"""Join annotations and audio, and write the two tables that describe the corpus."""

import logging
from pathlib import Path

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job

logger = logging.getLogger("emotrace.build_corpus")


def main() -> None:
    from emotrace.audio.frames import FrameGrid
    from emotrace.corpora.checks import (
        check_annotations_vary,
        describe_half_scale,
        explain_misfit,
        find_gaps,
        find_problems,
    )
    from emotrace.corpora.corpus import load_corpus
    from emotrace.corpora.exclusion import check_excess
    from emotrace.corpora.files import digest_findings, join_files, read_verified_files
    from emotrace.corpora.text_table import describe_ids
    from emotrace.reruns.checksums import write_table
    from emotrace.reruns.digests import digest_tables
    from emotrace.splits.folds import check_labels_vary, describe_division, make_folds
    from emotrace.splits.groups import describe_twins
    from emotrace.splits.protocol import Protocol

    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    corpus, protocol = load_corpus(params.corpus), Protocol(**params.protocol)
    if corpus.citation:
        logger.info("please cite %s; licence: %s", corpus.citation, corpus.licence)
    clips, annotations = corpus.read()
    files = read_verified_files(inputs.files, inputs.digest, digest_findings)
    clips = join_files(clips, files)
    grid = FrameGrid(**params.frames)
    excluded = find_problems(clips, annotations, grid)
    for row in excluded.itertuples():
        logger.warning("left out %s (%s): %s", row.clip_id, row.path, row.reason)
    hint = explain_misfit(clips, annotations, grid, corpus)
    check_excess(excluded, len(clips), params.max_excluded, hint=hint)

    clips = clips[~clips["clip_id"].isin(excluded["clip_id"])].sort_values("clip_id")
    for clip in clips[clips["note"] != ""].itertuples():
        logger.warning("look at %s (%s): %s", clip.clip_id, clip.path, clip.note)
    annotations = annotations[annotations["clip_id"].isin(clips["clip_id"])]
    annotations = annotations.sort_values(["clip_id", "time_s"])
    check_annotations_vary(annotations)
    if doubt := describe_half_scale(annotations, corpus):
        logger.warning("%s", doubt)
    if gaps := find_gaps(clips, annotations, grid):
        logger.warning(
            "frames are not annotated between others, and models take those on both sides of such "
            "a gap as neighbours (if all clips have gaps, set features.hop_s to the time between "
            "your annotations): clips with gaps, each with its first one: %s",
            describe_ids(f"{clip_id}: {gap}" for clip_id, gap in gaps.items()),
        )
    logger.info("%d clips, %d left out", len(clips), len(excluded))
    for remark in [*describe_twins(clips), *describe_division(clips, protocol.name)]:
        logger.warning("%s", remark)
    # Check that folds can be made before features are extracted; the seed does not matter for this.
    folds = make_folds(clips, protocol, seed=0)
    check_labels_vary(folds, annotations)

    columns = ["clip_id", "path", "sha256", "samples_sha256", "offset_s", "duration_s"]
    columns += ["sample_rate", "channels", "split", "artist", "title", "genre"]
    write_table(clips[columns], output.clips)
    write_table(annotations, output.annotations)
    excluded.to_csv(output.excluded, index=False)
    digest = digest_tables(clips[columns], annotations, excluded)
    Path(output.digest).write_text(f"{digest}\n", encoding="utf-8")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
