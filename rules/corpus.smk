"""The corpus.

In:  the files that the block `corpus` of the config names; if it names none, the corpus is
     synthesised or downloaded.
Out: results/corpus/: files.csv, which describes each audio file; clips.parquet,
     annotations.parquet, excluded.csv; and digests of their content.

Audio and annotations are read by separate rules, so a changed annotation does not
rerun the extraction. The user's own files are not inputs: params show whether their
content changed, whatever their time stamps are.
"""

from functools import cache, partial

# Snakemake evaluates params again after it removes outputs, which the answer depends on. The
# answer must stay the same.
digest_listing_once = cache(partial(digest_listing, corpus))

# Jobs import this module by its name, so digest_code cannot see it.
corpus_module = f"emotrace/corpora/{corpus.name}.py"


# If jobs run on other machines, these may have no access to the internet.
localrules:
    download_emomusic,


rule synthesise_demo:
    output:
        clips="resources/demo/clips.csv",
        annotations="resources/demo/annotations.csv",
        audio=directory("resources/demo/audio"),
        digest="resources/demo/clips.digest",
    log:
        "logs/synthesise_demo.log",
    benchmark:
        "logs/benchmarks/synthesise_demo.tsv"
    conda:
        "../envs/audio.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, threads, attempt: 1000 * threads * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        corpus=corpus.audio_settings,
        code=digest_code("workflow_scripts/synthesise_demo.py"),
    script:
        "../workflow_scripts/synthesise_demo.py"


rule download_emomusic:
    output:
        dataset=directory("resources/emomusic/dataset"),
        digest="resources/emomusic/dataset.digest",
    log:
        "logs/download_emomusic.log",
    benchmark:
        "logs/benchmarks/download_emomusic.tsv"
    conda:
        "../envs/audio.yaml"
    resources:
        mem_mb=1000,
        runtime=600,
    params:
        # Snakemake records params, so this is the address without its password.
        server=lambda wildcards: corpus.server,
    script:
        "../workflow_scripts/download_emomusic.py"


rule inspect_audio:
    input:
        ancient(corpus_inputs),
        corpus.digests,
    output:
        files="results/corpus/files.csv",
        listing="results/corpus/listing.digest",
        digest="results/corpus/files.digest",
        audio="results/corpus/audio.digest",
    log:
        "logs/inspect_audio.log",
    benchmark:
        "logs/benchmarks/inspect_audio.tsv"
    conda:
        "../envs/audio.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, threads, attempt: 1500 * threads * attempt,
        runtime=lambda wildcards, input, attempt: round(120 + input.size_mb + own_mb)
        * attempt,
    params:
        corpus=corpus.audio_settings,
        recipe=plan["inspection"],
        listing=lambda wildcards: digest_listing_once(),
        code=digest_code("workflow_scripts/inspect_audio.py", corpus_module),
    script:
        "../workflow_scripts/inspect_audio.py"


rule build_corpus:
    input:
        ancient(corpus_inputs),
        corpus.digests,
        digest="results/corpus/files.digest",
        files=ancient("results/corpus/files.csv"),
    output:
        clips="results/corpus/clips.parquet",
        annotations="results/corpus/annotations.parquet",
        excluded=report(
            "results/corpus/excluded.csv",
            caption="../report/excluded.rst",
            category="Corpus",
            labels={"table": "clips left out"},
        ),
        digest="results/corpus/corpus.digest",
    log:
        "logs/build_corpus.log",
    benchmark:
        "logs/benchmarks/build_corpus.tsv"
    # Runs before the extraction, which is useless if the corpus cannot be used.
    priority: 1
    conda:
        "../envs/audio.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: round(
            4000 + 40 * (input.size_mb + own_mb)
        )
        * attempt,
        runtime=lambda wildcards, input, attempt: round(
            60 + (input.size_mb + own_mb) / 10
        )
        * attempt,
    params:
        corpus=corpus.table_settings,
        max_excluded=settings.corpus.max_excluded,
        frames=frames,
        protocol=plan["protocol"],
        sources=lambda wildcards: corpus.digest_sources(),
        code=digest_code("workflow_scripts/build_corpus.py", corpus_module),
    script:
        "../workflow_scripts/build_corpus.py"
