"""Draw how the clips' errors are distributed, chosen model beside baseline."""

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace import TARGETS
    from emotrace.figures.examples import open_examples
    from emotrace.figures.histograms import TargetErrors, draw_error_histograms
    from emotrace.figures.style import save_figure
    from emotrace.reruns.checksums import read_table

    examples = open_examples(snakemake.input.examples, snakemake.input.predictions)
    annotations = read_table(snakemake.input.annotations)
    baseline = examples.choices["baseline"]
    errors = {}
    for target in TARGETS:
        of_models = []
        for model in (examples.choices["best"][target], baseline):
            frames = examples.read_predictions(model, target).merge(
                annotations, on=["clip_id", "time_s"]
            )
            error = (frames["prediction"] - frames[target]).abs()
            of_models.append(error.groupby(frames["clip_id"]).mean().to_numpy())
        errors[target] = TargetErrors(
            best=of_models[0],
            baseline=of_models[1],
            best_label=examples.name_models("best")[target],
            baseline_label=f"{baseline} on {examples.choices['feature_set']}",
        )
    save_figure(draw_error_histograms(errors), *snakemake.output)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
