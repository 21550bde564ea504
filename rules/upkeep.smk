"""Upkeep.

In:  what earlier runs left, and the config.
Out: words on the screen; the store without what no experiment uses.
"""


rule explain:
    log:
        "logs/explain.log",
    conda:
        "../envs/results.yaml"
    params:
        # Snakemake's own, which an environment for results lacks.
        python=lambda wildcards: sys.executable,
        snakefile=lambda wildcards: workflow.main_snakefile,
        plan=plan,
        options=lambda wildcards: list_options(
            workflow.dag_settings,
            workflow.deployment_settings,
            workflow.resource_settings,
        ),
    script:
        "../workflow_scripts/explain.py"


rule clean_store:
    log:
        "logs/clean_store.log",
    conda:
        "../envs/results.yaml"
    params:
        products=[
            "results/corpus/files.csv",
            *expand(
                "results/features/{feature_set}.parquet", feature_set=feature_sets
            ),
            *expand("{folder}/predictions.parquet", folder=run_folders),
        ],
    script:
        "../workflow_scripts/clean_store.py"
