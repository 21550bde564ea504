"""Training.

In:  a feature table and the corpus tables.
Out: results/runs/FEATURE_SET/MODEL/: predictions, attention weights, history, weights, and a
     digest of their content. One job trains all targets, folds and seeds.
     results/baselines/FEATURE_SET.parquet: the predictions of the baselines.

The store keeps each fit. The training runs again when a digest changes. The time
stamps of the tables mean nothing.
"""


rule train_model:
    input:
        table=ancient("results/features/{feature_set}.parquet"),
        digest=lambda wildcards: checkpoints.extract_features.get(
            feature_set=wildcards.feature_set
        ).output.digest,
        corpus="results/corpus/corpus.digest",
        annotations=ancient("results/corpus/annotations.parquet"),
        clips=ancient("results/corpus/clips.parquet"),
    output:
        predictions="results/runs/{feature_set}/{model}/predictions.parquet",
        attention="results/runs/{feature_set}/{model}/attention.parquet",
        history="results/runs/{feature_set}/{model}/history.parquet",
        weights=directory("results/runs/{feature_set}/{model}/weights"),
        digest="results/runs/{feature_set}/{model}/run.digest",
    log:
        "logs/train_model/{feature_set}_{model}.log",
    benchmark:
        "logs/benchmarks/train_model/{feature_set}_{model}.tsv"
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: round(4000 + 4 * input.size_mb)
        * attempt,
        runtime=lambda wildcards, input, attempt: round(240 + input.size_mb / 5)
        * attempt,
        gpu=1,
    params:
        recipe=lambda wildcards: plan["runs"][wildcards.feature_set][wildcards.model],
        protocol=plan["protocol"],
        seeds=plan["seeds"],
        code=digest_code("workflow_scripts/train_model.py"),
    script:
        "../workflow_scripts/train_model.py"


rule fit_baselines:
    input:
        table=ancient("results/features/{feature_set}.parquet"),
        digest=lambda wildcards: checkpoints.extract_features.get(
            feature_set=wildcards.feature_set
        ).output.digest,
        corpus="results/corpus/corpus.digest",
        annotations=ancient("results/corpus/annotations.parquet"),
        clips=ancient("results/corpus/clips.parquet"),
    output:
        predictions="results/baselines/{feature_set}.parquet",
        digest="results/baselines/{feature_set}.digest",
    log:
        "logs/fit_baselines/{feature_set}.log",
    benchmark:
        "logs/benchmarks/fit_baselines/{feature_set}.tsv"
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, input, attempt: round(4000 + 4 * input.size_mb)
        * attempt,
        runtime=lambda wildcards, input, attempt: round(60 + input.size_mb / 10)
        * attempt,
    params:
        protocol=plan["protocol"],
        code=digest_code("workflow_scripts/fit_baselines.py"),
    script:
        "../workflow_scripts/fit_baselines.py"
