"""Read a corpus, examine every file, and write the two tables that describe it."""

import logging
import os
from pathlib import Path

from emotrace.jobs import run_job

logger = logging.getLogger("emotrace.build_corpus")


def main() -> None:
    import pandas as pd

    from emotrace.corpus import read_corpus
    from emotrace.corpus.checks import examine_audio, find_problems, refuse_excess
    from emotrace.frames import FrameGrid
    from emotrace.parallel import map_clips

    corpus = snakemake.params.corpus
    clips, annotations = read_corpus(corpus)
    clips["path"] = [shorten_path(path) for path in clips["path"]]
    examinations = list(
        map_clips(
            examine_audio,
            list(clips["path"]),
            label="examined",
            threads=snakemake.threads,
            memory_mb=snakemake.resources.mem_mb,
        )
    )
    excluded = find_problems(clips, annotations, examinations, FrameGrid(**snakemake.params.frames))
    for row in excluded.itertuples():
        logger.warning("left out %s (%s): %s", row.clip_id, row.path, row.reason)
    refuse_excess(excluded, len(clips), corpus["max_excluded"])

    clips = pd.concat([clips, pd.DataFrame(examinations).drop(columns="problem")], axis=1)
    clips = clips[~clips["clip_id"].isin(excluded["clip_id"])].sort_values("clip_id")
    annotations = annotations[annotations["clip_id"].isin(clips["clip_id"])]
    logger.info("%d clips, %d left out", len(clips), len(excluded))

    columns = ["clip_id", "path", "sha256", "offset_s", "duration_s", "sample_rate", "channels"]
    columns += ["split", "artist", "title", "genre"]
    clips[columns].to_parquet(snakemake.output.clips, index=False)
    annotations = annotations.sort_values(["clip_id", "time_s"])
    annotations.to_parquet(snakemake.output.annotations, index=False)
    excluded.to_csv(snakemake.output.excluded, index=False)


def shorten_path(path: str) -> str:
    """Write paths below the working directory as relative, so that it can be moved."""
    absolute = Path(os.path.abspath(path))
    return str(
        absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
    )


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
