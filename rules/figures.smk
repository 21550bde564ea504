"""Figures.

In:  the outputs of the training jobs of one feature set; the corpus tables; the audio, for
     chromagrams.
Out: results/examples.json, which says what is drawn, and results/figures/, as PNG and PDF.

Figures are drawn again when a digest changes. The time stamps of the tables mean nothing.
"""

attentive_families = [
    family
    for family, facts in families.items()
    if facts["attention"]
    and any(
        feature_set == settings.evaluation.feature_set
        and model.startswith(f"{family}_")
        for feature_set, model in runs
    )
]
drawn_runs = [
    f"results/runs/{feature_set}/{model}"
    for feature_set, model in runs
    if feature_set == settings.evaluation.feature_set
]
drawn_digests = expand("{folder}/run.digest", folder=drawn_runs)


localrules:
    choose_examples,
    plot_curves,
    plot_error_histograms,
    plot_attention_maps,
    plot_attended_frames,
    plot_chromagrams,


rule choose_examples:
    input:
        digests=drawn_digests,
        history=ancient(expand("{folder}/history.parquet", folder=drawn_runs)),
        predictions=ancient(f"{drawn_runs[0]}/predictions.parquet"),
        corpus="results/corpus/corpus.digest",
        annotations=ancient("results/corpus/annotations.parquet"),
    output:
        examples="results/examples.json",
    log:
        "logs/choose_examples.log",
    benchmark:
        "logs/benchmarks/choose_examples.tsv"
    conda:
        "../envs/results.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        feature_set=settings.evaluation.feature_set,
        baseline=settings.evaluation.baseline,
        families=attentive_families,
        clips=lambda wildcards: settings.figures.clips,
        code=digest_code("workflow_scripts/choose_examples.py"),
    script:
        "../workflow_scripts/choose_examples.py"


rule plot_curves:
    input:
        examples="results/examples.json",
        digests=drawn_digests,
        predictions=ancient(expand("{folder}/predictions.parquet", folder=drawn_runs)),
        corpus="results/corpus/corpus.digest",
        annotations=ancient("results/corpus/annotations.parquet"),
        clips=ancient("results/corpus/clips.parquet"),
    output:
        png=report(
            "results/figures/curves.png",
            caption="../report/curves.rst",
            category="Figures",
            labels={"figure": "arousal and valence over time"},
        ),
        pdf="results/figures/curves.pdf",
    log:
        "logs/plot_curves.log",
    benchmark:
        "logs/benchmarks/plot_curves.tsv"
    conda:
        "../envs/results.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        hop_s=settings.features.hop_s,
        code=digest_code("workflow_scripts/plot_curves.py"),
    script:
        "../workflow_scripts/plot_curves.py"


rule plot_error_histograms:
    input:
        examples="results/examples.json",
        digests=drawn_digests,
        predictions=ancient(expand("{folder}/predictions.parquet", folder=drawn_runs)),
        corpus="results/corpus/corpus.digest",
        annotations=ancient("results/corpus/annotations.parquet"),
    output:
        png=report(
            "results/figures/error_histograms.png",
            caption="../report/error_histograms.rst",
            category="Figures",
            labels={"figure": "errors per clip"},
        ),
        pdf="results/figures/error_histograms.pdf",
    log:
        "logs/plot_error_histograms.log",
    benchmark:
        "logs/benchmarks/plot_error_histograms.tsv"
    conda:
        "../envs/results.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=digest_code("workflow_scripts/plot_error_histograms.py"),
    script:
        "../workflow_scripts/plot_error_histograms.py"


rule plot_attention_maps:
    input:
        examples="results/examples.json",
        digests=drawn_digests,
        attention=ancient(expand("{folder}/attention.parquet", folder=drawn_runs)),
        corpus="results/corpus/corpus.digest",
        clips=ancient("results/corpus/clips.parquet"),
    output:
        png=report(
            "results/figures/attention_maps_{family}.png",
            caption="../report/attention_maps.rst",
            category="Figures",
            labels={"figure": "attention maps of {family}"},
        ),
        pdf="results/figures/attention_maps_{family}.pdf",
    log:
        "logs/plot_attention_maps/{family}.log",
    benchmark:
        "logs/benchmarks/plot_attention_maps/{family}.tsv"
    wildcard_constraints:
        family="|".join(attentive_families or ["none"]),
    conda:
        "../envs/results.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        attention=lambda wildcards: families[wildcards.family]["attention"],
        hop_s=settings.features.hop_s,
        code=digest_code("workflow_scripts/plot_attention_maps.py"),
    script:
        "../workflow_scripts/plot_attention_maps.py"


rule plot_attended_frames:
    input:
        examples="results/examples.json",
        digests=drawn_digests,
        attention=ancient(expand("{folder}/attention.parquet", folder=drawn_runs)),
        corpus="results/corpus/corpus.digest",
        annotations=ancient("results/corpus/annotations.parquet"),
        clips=ancient("results/corpus/clips.parquet"),
    output:
        png=report(
            "results/figures/attended_frames.png",
            caption="../report/attended_frames.rst",
            category="Figures",
            labels={"figure": "attended frames"},
        ),
        pdf="results/figures/attended_frames.pdf",
    log:
        "logs/plot_attended_frames.log",
    benchmark:
        "logs/benchmarks/plot_attended_frames.tsv"
    conda:
        "../envs/results.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        family=attentive_families[:1],
        hop_s=settings.features.hop_s,
        code=digest_code("workflow_scripts/plot_attended_frames.py"),
    script:
        "../workflow_scripts/plot_attended_frames.py"


rule plot_chromagrams:
    input:
        examples="results/examples.json",
        digests=drawn_digests,
        attention=ancient(expand("{folder}/attention.parquet", folder=drawn_runs)),
        corpus="results/corpus/corpus.digest",
        annotations=ancient("results/corpus/annotations.parquet"),
        clips=ancient("results/corpus/clips.parquet"),
    output:
        png=report(
            "results/figures/chromagrams.png",
            caption="../report/chromagrams.rst",
            category="Figures",
            labels={"figure": "chromagrams"},
        ),
        pdf="results/figures/chromagrams.pdf",
    log:
        "logs/plot_chromagrams.log",
    benchmark:
        "logs/benchmarks/plot_chromagrams.tsv"
    conda:
        "../envs/audio.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        family=attentive_families[:1],
        frames=settings.frames_of(settings.evaluation.feature_set),
        code=digest_code("workflow_scripts/plot_chromagrams.py"),
    script:
        "../workflow_scripts/plot_chromagrams.py"


rule figures:
    input:
        rules.plot_curves.output,
        rules.plot_error_histograms.output,
        expand(rules.plot_attention_maps.output, family=attentive_families),
        rules.plot_attended_frames.output if attentive_families else [],
        rules.plot_chromagrams.output,
