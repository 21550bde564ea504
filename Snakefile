"""emotrace: predict the perceived emotion of music, and show what a model attended to.

In:  config.yaml, overridden by --configfile and --config.
Out: everything below results/; the milestones are at the end of this file.

Each large file has a digest beside it. Rules take the digest as an input, which
Snakemake compares by content, and the file itself as `ancient`, because its time
stamp means nothing. Never take an `ancient` file without the digest from the same
rule: while that rule runs, Snakemake would miss changes of the rule that takes the
file. Snakemake looks again only at the rules that follow a checkpoint.
"""

import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.27")
sys.path.insert(0, workflow.basedir)

from emotrace.config.loading import load_config, check_blocks
from emotrace.corpora.listing import digest_listing
from emotrace.runtime.disks import (
    check_store_folder,
    check_working_folder,
    silence_lost_log_lines,
)
from emotrace.runtime.errors import EmotraceError
from emotrace.models.families import describe_families
from emotrace.config.planning import (
    list_options,
    name_user,
    plan_run,
    check_protocol,
    check_paths,
    check_drawn_clips,
    shorten_failure,
)
from emotrace.reruns.code import digest_code
from emotrace.reruns.dry_run import JOBS_FILE, JobWriter

logger.addFilter(shorten_failure)
if jobs_file := os.environ.get(JOBS_FILE):
    logger.addHandler(JobWriter(jobs_file))
name_user()

try:
    check_paths(str(workflow.basedir))
    check_working_folder()
    check_blocks(config)
except EmotraceError as error:
    silence_lost_log_lines()
    raise WorkflowError(str(error)) from None


configfile: Path(workflow.basedir, "config.yaml").as_posix()


try:
    settings = load_config(config)
    check_store_folder(settings.store)
    corpus = settings.corpus.load()
    corpus_inputs, own_mb = corpus.list_inputs(), corpus.measure_own_sources()
    check_drawn_clips(settings)
    check_protocol(settings)
    plan = plan_run(settings)
except EmotraceError as error:
    raise WorkflowError(str(error)) from None

frames = {"window_s": settings.features.window_s, "hop_s": settings.features.hop_s}
runs = settings.list_runs()
feature_sets = list(dict.fromkeys(feature_set for feature_set, _ in runs))
families = describe_families(model for _, model in runs)
run_folders = [f"results/runs/{feature_set}/{model}" for feature_set, model in runs]


wildcard_constraints:
    feature_set="|".join(feature_sets),
    model="|".join(sorted({model for _, model in runs})),


include: "rules/corpus.smk"
include: "rules/features.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/figures.smk"
include: "rules/upkeep.smk"


localrules:
    all,
    corpus,
    features,
    models,
    tables,
    figures,
    explain,
    clean_store,


rule corpus:
    input:
        rules.inspect_audio.output,
        rules.build_corpus.output,


rule features:
    input:
        expand(rules.extract_features.output, feature_set=feature_sets),


rule models:
    input:
        [
            expand(rules.train_model.output, feature_set=feature_set, model=model)
            for feature_set, model in runs
        ],


rule tables:
    input:
        rules.build_tables.output,


rule all:
    default_target: True
    input:
        rules.corpus.input,
        rules.features.input,
        rules.models.input,
        expand(rules.fit_baselines.output, feature_set=feature_sets),
        rules.evaluate_models.output,
        rules.tables.input,
        rules.choose_examples.output,
        rules.figures.input,
