"""Draw arousal and valence over time: truth, chosen model, baseline."""

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace import TARGETS
    from emotrace.figures.curves import Curve, CurveClip, draw_curves
    from emotrace.figures.examples import open_examples
    from emotrace.figures.style import save_figure
    from emotrace.reruns.checksums import read_table

    examples = open_examples(snakemake.input.examples, snakemake.input.predictions)
    annotations = read_table(snakemake.input.annotations).set_index("clip_id")
    clips = read_table(snakemake.input.clips).set_index("clip_id")
    baseline = examples.choices["baseline"]
    curves = {clip_id: {} for clip_id in examples.clip_ids}
    for target in TARGETS:
        predicted = [
            examples.read_predictions(model, target).set_index(["clip_id", "time_s"])["prediction"]
            for model in (examples.choices["best"][target], baseline)
        ]
        for clip_id in examples.clip_ids:
            truth = annotations.loc[clip_id].set_index("time_s")
            best, base = (prediction.loc[clip_id] for prediction in predicted)
            truth = truth.loc[best.index]
            curves[clip_id][target] = Curve(
                times_s=best.index.to_numpy(),
                truth=truth[target].to_numpy(),
                truth_std=truth[f"{target}_std"].to_numpy(),
                best=best.to_numpy(),
                baseline=base.to_numpy(),
            )
    figure = draw_curves(
        [
            CurveClip(
                clip_id=clip_id,
                title=clips.loc[clip_id, "title"],
                artist=clips.loc[clip_id, "artist"],
                curves=curves[clip_id],
            )
            for clip_id in examples.clip_ids
        ],
        best_labels=examples.name_models("best"),
        baseline_label=f"{baseline} on {examples.choices['feature_set']}",
        hop_s=snakemake.params.hop_s,
    )
    save_figure(figure, *snakemake.output)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
