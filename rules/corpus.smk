"""The corpus.

In:  what the config's block `corpus` names, or nothing: then it is synthesised or downloaded.
Out: results/corpus/clips.parquet, annotations.parquet, excluded.csv.
"""


rule synthesise_demo:
    output:
        clips="resources/demo/clips.csv",
        annotations="resources/demo/annotations.csv",
        audio=directory("resources/demo/audio"),
    log:
        "logs/synthesise_demo.log",
    benchmark:
        "logs/benchmarks/synthesise_demo.tsv"
    conda:
        "../envs/audio.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, threads: 1000 * threads,
        runtime=30,
    params:
        corpus={key: corpus.get(key) for key in ("n_clips", "duration_s", "seed")},
        code=digest_code("workflow_scripts/synthesise_demo.py"),
    script:
        "../workflow_scripts/synthesise_demo.py"


rule download_emomusic:
    output:
        dataset=directory("resources/emomusic/dataset"),
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
        url=corpus.get("url"),
    script:
        "../workflow_scripts/download_emomusic.py"


rule build_corpus:
    input:
        corpus_sources,
    output:
        clips="results/corpus/clips.parquet",
        annotations="results/corpus/annotations.parquet",
        excluded=report(
            "results/corpus/excluded.csv",
            caption="../report/excluded.rst",
            category="Corpus",
            labels={"table": "clips left out"},
        ),
    log:
        "logs/build_corpus.log",
    benchmark:
        "logs/benchmarks/build_corpus.tsv"
    conda:
        "../envs/audio.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, threads: 1500 * threads,
        runtime=120,
    params:
        corpus=corpus,
        frames=frames,
        audio=digest_audio_listing(corpus),
        code=digest_code("workflow_scripts/build_corpus.py"),
    script:
        "../workflow_scripts/build_corpus.py"
