"""emotrace: from music to traces of perceived emotion, and to what a model listened to.

In:  config.yaml, overlaid by --configfile and --config.
Out: everything below results/; the milestones at the end of this file.
"""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.22")
sys.path.insert(0, workflow.basedir)

from emotrace.config import load_config
from emotrace.corpus import digest_audio_listing, list_sources
from emotrace.errors import EmotraceError
from emotrace.planning import find_feature_libraries, refuse_unknown_clips
from emotrace.provenance import digest_code


configfile: Path(workflow.basedir, "config.yaml").as_posix()


try:
    settings = load_config(config)
    corpus = settings.corpus.model_dump(mode="json")
    corpus_sources = list_sources(corpus)
    refuse_unknown_clips(settings)
except EmotraceError as error:
    raise WorkflowError(str(error)) from None

frames = settings.features.model_dump(mode="json")
runs = settings.list_runs()
feature_sets = list(dict.fromkeys(feature_set for feature_set, _ in runs))
run_folders = [f"results/runs/{feature_set}/{model}" for feature_set, model in runs]


wildcard_constraints:
    feature_set="|".join(feature_sets),
    model="|".join(sorted({model for _, model in runs})),


include: "rules/corpus.smk"
include: "rules/features.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/figures.smk"


localrules:
    all,
    corpus,
    features,
    models,
    tables,
    figures,


rule all:
    default_target: True
    input:
        rules.build_tables.output,
        rules.figures.input,


rule corpus:
    input:
        rules.build_corpus.output,


rule features:
    input:
        expand(rules.extract_features.output, feature_set=feature_sets),


rule models:
    input:
        expand("{folder}/predictions.parquet", folder=run_folders),


rule tables:
    input:
        rules.build_tables.output,
