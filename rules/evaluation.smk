"""Evaluation.

In:  the outputs of the training jobs, and the annotations.
Out: results/metrics.parquet, comparisons.parquet and groups.parquet; results/tables.tex and
     .html, and the same results as tidy data in tables.csv, comparisons.csv and groups.csv.
"""


localrules:
    evaluate_models,
    build_tables,


rule evaluate_models:
    input:
        digests=expand("{folder}/run.digest", folder=run_folders),
        predictions=ancient(expand("{folder}/predictions.parquet", folder=run_folders)),
        history=ancient(expand("{folder}/history.parquet", folder=run_folders)),
        baseline_digests=expand(
            "results/baselines/{feature_set}.digest", feature_set=feature_sets
        ),
        baselines=ancient(
            expand("results/baselines/{feature_set}.parquet", feature_set=feature_sets)
        ),
        tables=ancient(
            expand("results/features/{feature_set}.parquet", feature_set=feature_sets)
        ),
        corpus="results/corpus/corpus.digest",
        annotations=ancient("results/corpus/annotations.parquet"),
        clips=ancient("results/corpus/clips.parquet"),
    output:
        metrics="results/metrics.parquet",
        comparisons="results/comparisons.parquet",
        groups="results/groups.parquet",
        digest="results/metrics.digest",
    log:
        "logs/evaluate_models.log",
    benchmark:
        "logs/benchmarks/evaluate_models.tsv"
    conda:
        "../envs/results.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        experiment=lambda wildcards: settings.experiment,
        protocol=plan["protocol"],
        n_annotators=corpus.annotators,
        runs=runs,
        feature_sets=feature_sets,
        bootstrap_samples=settings.evaluation.bootstrap_samples,
        families=families,
        code=digest_code("workflow_scripts/evaluate_models.py"),
    script:
        "../workflow_scripts/evaluate_models.py"


rule build_tables:
    input:
        digest="results/metrics.digest",
        metrics=ancient("results/metrics.parquet"),
        comparisons=ancient("results/comparisons.parquet"),
        groups=ancient("results/groups.parquet"),
        corpus="results/corpus/corpus.digest",
        clips=ancient("results/corpus/clips.parquet"),
        excluded=ancient("results/corpus/excluded.csv"),
        not_computed=ancient(
            expand(
                "results/features/{feature_set}.excluded.csv", feature_set=feature_sets
            )
        ),
    output:
        tex="results/tables.tex",
        csv="results/tables.csv",
        comparisons="results/comparisons.csv",
        groups="results/groups.csv",
        html=report(
            "results/tables.html",
            caption="../report/tables.rst",
            category="Tables",
            labels={"table": "all tables"},
        ),
    log:
        "logs/build_tables.log",
    benchmark:
        "logs/benchmarks/build_tables.tsv"
    conda:
        "../envs/results.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        experiment=lambda wildcards: settings.experiment,
        corpus=settings.corpus.name,
        windows_s={
            feature_set: settings.frames_of(feature_set)["window_s"]
            for feature_set in feature_sets
        },
        hop_s=settings.features.hop_s,
        evaluation=settings.evaluation.model_dump(mode="json"),
        families=families,
        code=digest_code("workflow_scripts/build_tables.py"),
    script:
        "../workflow_scripts/build_tables.py"
