"""Upkeep.

In:  the outputs of earlier runs, and the config.
Out: messages on the screen; the store without the entries that no experiment uses; the
     missing ones of Snakemake's notes, which say what each product was made with.
"""

import os

from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
from snakemake.persistence.file import FilePersistence

from emotrace.reruns.records import STAND_INS, lacks_file, recall_job

# One item per job: all its outputs.
products = [
    rules.synthesise_demo.output,
    rules.download_emomusic.output,
    rules.inspect_audio.output,
    rules.build_corpus.output,
    *(
        expand(rule.output, feature_set=feature_set)
        for rule in (rules.extract_features, rules.fit_baselines)
        for feature_set in feature_sets
    ),
    *(
        expand(rules.train_model.output, feature_set=feature_set, model=model)
        for feature_set, model in runs
    ),
    rules.evaluate_models.output,
    rules.build_tables.output,
    rules.choose_examples.output,
    rules.plot_curves.output,
    rules.plot_error_histograms.output,
    *(
        expand(rules.plot_attention_maps.output, family=family)
        for family in attentive_families
    ),
    rules.plot_attended_frames.output,
    rules.plot_chromagrams.output,
]

# Snakemake does not notice changes to a job whose note is missing or in an older format. So write
# these notes from the records beside the products.
if workflow.is_main_process:
    notes = FilePersistence()
    for outputs in products:
        incomplete = lacks_file(outputs)
        for output in filter(os.path.exists, outputs):
            note = notes._read_record(output)
            if (
                incomplete
                or note is None
                or note.record_format_version < RECORD_FORMAT_VERSION
                or note.params in STAND_INS
            ):
                made_s = os.path.getmtime(output)
                note = MetadataRecord(
                    **recall_job(outputs),
                    record_format_version=RECORD_FORMAT_VERSION,
                    starttime=made_s,
                    endtime=made_s,
                )
                notes._write_record(output, note)


rule explain:
    log:
        "logs/explain.log",
    conda:
        "../envs/results.yaml"
    params:
        # The Python that runs Snakemake, because the environment for results has no Snakemake.
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
