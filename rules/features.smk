"""Features.

In:  what the audio files turned out to be, and the audio itself.
Out: results/features/FEATURE_SET.parquet, and a digest of its content beside it.

What was computed once is in the store. The digest decides whether models are
trained again: a checkpoint, because only then can Snakemake see that a new table
says the same as the old one. The table must stay its first output, and be an
ancient input of those that read it, or a dry run announces them too early.
"""


checkpoint extract_features:
    input:
        digest="results/corpus/audio.digest",
        files=ancient("results/corpus/files.csv"),
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
        mem_mb=lambda wildcards, threads, attempt: 1500 * threads * attempt,
        # A megabyte lists some 6,000 clips.
        runtime=lambda wildcards, input, attempt: round(60 + 60 * input.size_mb)
        * attempt,
    params:
        identity=lambda wildcards: plan["features"][wildcards.feature_set],
        code=digest_code("workflow_scripts/extract_features.py"),
    script:
        "../workflow_scripts/extract_features.py"
