"""Draw arousal and valence over time: truth, chosen model, baseline."""

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace import TARGETS
    from emotrace.evaluation.examples import open_examples
    from emotrace.figures.curves import Curve, CurveClip, draw_curves
    from emotrace.figures.style import save_figure
    from emotrace.reruns.checksums import read_table

    examples = open_examples(snakemake.input.examples, snakemake.input.predictions)
    annotations = read_table(snakemake.input.annotations)
    names = read_table(snakemake.input.clips).set_index("clip_id")[["title", "artist"]]
    curves = {target: examples.read_curves(target, annotations) for target in TARGETS}
    figure = draw_curves(
        [
            CurveClip(
                clip_id=clip_id,
                **names.loc[clip_id],
                curves={target: Curve(**curves[target][clip_id]) for target in TARGETS},
            )
            for clip_id in examples.clip_ids
        ],
        best_labels=examples.name_models("best"),
        baseline_label=examples.baseline_label,
        hop_s=snakemake.params.hop_s,
    )
    save_figure(figure, *snakemake.output)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
