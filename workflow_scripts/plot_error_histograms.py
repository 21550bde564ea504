"""Draw the distribution of the errors over clips, with the chosen model beside the baseline."""

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace import TARGETS
    from emotrace.evaluation.examples import open_examples
    from emotrace.figures.histograms import TargetErrors, draw_error_histograms
    from emotrace.figures.style import save_figure
    from emotrace.reruns.checksums import read_table

    examples = open_examples(snakemake.input.examples, snakemake.input.predictions)
    annotations = read_table(snakemake.input.annotations)
    labels = examples.name_models("best")
    errors = {
        target: TargetErrors(
            best=examples.read_errors(examples.choices["best"][target], target, annotations),
            baseline=examples.read_errors(examples.choices["baseline"], target, annotations),
            best_label=labels[target],
            baseline_label=examples.baseline_label,
        )
        for target in TARGETS
    }
    save_figure(draw_error_histograms(errors), *snakemake.output)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
