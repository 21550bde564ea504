"""Features.

In:  the descriptions of the audio files, and the audio itself.
Out: results/features/FEATURE_SET.parquet, a digest of its content, and FEATURE_SET.excluded.csv,
     which lists the clips that could not be computed.

The store keeps the features of each clip. The digest decides whether models are
trained again. The rule is a checkpoint, because only then can Snakemake see that a
new table has the same content as the old one. The table must be its first output,
and the rules that read the table must take it as an ancient input; otherwise a dry
run announces them too early.

`--set-scatter extraction=N` divides the computing among N jobs. They fill the store,
and extract_features then builds the table from it.
"""


scattergather:
    extraction=0,


rule extract_shard:
    input:
        digest="results/corpus/audio.digest",
        files=ancient("results/corpus/files.csv"),
    output:
        excluded=temp("results/features/shards/{feature_set}/{scatteritem}.csv"),
    log:
        "logs/extract_shard/{feature_set}_{scatteritem}.log",
    benchmark:
        "logs/benchmarks/extract_shard/{feature_set}_{scatteritem}.tsv"
    conda:
        "../envs/audio.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, threads, attempt: 1500 * threads * attempt,
        # A megabyte lists some 6,000 clips, which all shards divide among them.
        runtime=lambda wildcards, input, attempt: round(
            60 + 60 * input.size_mb / int(wildcards.scatteritem.split("-of-")[1])
        )
        * attempt,
    params:
        recipe=lambda wildcards: plan["features"][wildcards.feature_set],
        max_excluded=settings.corpus.max_excluded,
        code=digest_code("workflow_scripts/extract_shard.py"),
    script:
        "../workflow_scripts/extract_shard.py"


checkpoint extract_features:
    input:
        digest="results/corpus/audio.digest",
        files=ancient("results/corpus/files.csv"),
        shards=gather.extraction(
            "results/features/shards/{{feature_set}}/{scatteritem}.csv"
        ),
    output:
        table="results/features/{feature_set}.parquet",
        digest="results/features/{feature_set}.digest",
        excluded="results/features/{feature_set}.excluded.csv",
    log:
        "logs/extract_features/{feature_set}.log",
    benchmark:
        "logs/benchmarks/extract_features/{feature_set}.tsv"
    conda:
        "../envs/audio.yaml"
    threads: lambda wildcards, input: 1 if input.shards else 8
    resources:
        # A megabyte lists some 6,000 clips. According to docs/scale.md, the first attempt has
        # enough memory for 29,000 clips of 45 seconds in a table as wide as `compare`.
        mem_mb=lambda wildcards, input, threads, attempt: round(
            max(1500 * threads, 4000 + 200 * input.size_mb)
        )
        * attempt,
        runtime=lambda wildcards, input, attempt: round(60 + 60 * input.size_mb)
        * attempt,
    params:
        recipe=lambda wildcards: plan["features"][wildcards.feature_set],
        max_excluded=settings.corpus.max_excluded,
        code=digest_code("workflow_scripts/extract_features.py"),
    script:
        "../workflow_scripts/extract_features.py"
