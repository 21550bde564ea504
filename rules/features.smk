"""Features.

In:  the corpus's clips, and the audio that they name.
Out: results/features/FEATURE_SET.parquet, and a digest of its content beside it.

The digest decides whether models are trained again: a checkpoint, because only
then can Snakemake see that a new table says the same as the old one.
"""


checkpoint extract_features:
    input:
        clips="results/corpus/clips.parquet",
    output:
        table="results/features/{feature_set}.parquet",
        digest="results/features/{feature_set}.digest",
    log:
        "logs/extract_features/{feature_set}.log",
    benchmark:
        "logs/benchmarks/extract_features/{feature_set}.tsv"
    conda:
        "../envs/audio.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, threads: 1500 * threads,
        runtime=240,
    params:
        frames=frames,
        code=lambda wildcards: digest_code(
            "workflow_scripts/extract_features.py",
            f"emotrace/features/sets/{wildcards.feature_set}.py",
        ),
        libraries=lambda wildcards: find_feature_libraries(wildcards.feature_set),
    script:
        "../workflow_scripts/extract_features.py"
