"""Extract one feature set from every clip of the corpus."""

import json
from pathlib import Path

from emotrace.jobs import run_job


def main() -> None:
    import pandas as pd

    from emotrace.features.extraction import extract_table
    from emotrace.frames import FrameGrid

    frames = snakemake.params.frames
    digest = extract_table(
        pd.read_parquet(snakemake.input.clips),
        feature_set=snakemake.wildcards.feature_set,
        grid=FrameGrid(**frames),
        path=Path(snakemake.output.table),
        provenance={
            "feature_set": snakemake.wildcards.feature_set,
            "frames": json.dumps(frames),
            "code": snakemake.params.code,
            "libraries": json.dumps(snakemake.params.libraries),
        },
        threads=snakemake.threads,
        memory_mb=snakemake.resources.mem_mb,
    )
    Path(snakemake.output.digest).write_text(f"{digest}\n")


if __name__ == "__main__":
    with run_job(snakemake.log[0]):
        main()
