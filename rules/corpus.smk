"""The corpus.

In:  what the config's block `corpus` names, or nothing: then it is synthesised or downloaded.
Out: results/corpus/: files.csv, what each audio file turned out to be; clips.parquet,
     annotations.parquet, excluded.csv; and digests of their content.

The audio is inspected apart from the annotations, so that an annotation that
changes extracts nothing anew. The user's own files are no inputs: params tell
whether their content changed, whatever their time stamps say.
"""

from functools import cache, partial

# Snakemake asks again once it has removed what the answer depends on; it must stay the same.
digest_listing_once = cache(partial(digest_listing, corpus))

# Jobs import it by its name, which digests of code do not see.
corpus_module = f"emotrace/corpora/{corpus.name}.py"


# Where jobs run on other machines, those may have no way to the internet.
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
        # Snakemake notes params, so the password that may stand in the address is none.
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
    # Before the extraction, which need not begin if the corpus is not usable.
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
