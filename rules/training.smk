"""Training.

In:  a feature table and the corpus tables.
Out: results/runs/FEATURE_SET/MODEL/: predictions, attention weights, history, weights;
     one job trains all targets, folds and seeds.
"""


rule train_model:
    input:
        # The digest reruns the training, the table does not: its time stamp means nothing.
        digest=lambda wildcards: checkpoints.extract_features.get(
            feature_set=wildcards.feature_set
        ).output.digest,
        table=ancient("results/features/{feature_set}.parquet"),
        annotations="results/corpus/annotations.parquet",
        clips="results/corpus/clips.parquet",
    output:
        predictions="results/runs/{feature_set}/{model}/predictions.parquet",
        attention="results/runs/{feature_set}/{model}/attention.parquet",
        history="results/runs/{feature_set}/{model}/history.parquet",
        weights=directory("results/runs/{feature_set}/{model}/weights"),
    log:
        "logs/train_model/{feature_set}_{model}.log",
    benchmark:
        "logs/benchmarks/train_model/{feature_set}_{model}.tsv"
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=720,
        gpu=1,
    params:
        protocol=settings.protocol.model_dump(mode="json"),
        seeds=settings.seeds,
        training=lambda wildcards: settings.training_of(wildcards.model),
        code=lambda wildcards: digest_code(
            "workflow_scripts/train_model.py",
            f"emotrace/models/{wildcards.model.split('_')[0]}.py",
        ),
    script:
        "../workflow_scripts/train_model.py"
