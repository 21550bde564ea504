"""Draw the truth over time, with the frames marked that received most attention."""

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace import TARGETS
    from emotrace.evaluation.examples import open_examples
    from emotrace.figures.attended_frames import AttendedClip, draw_attended_frames
    from emotrace.figures.style import save_figure
    from emotrace.reruns.checksums import read_table

    (family,) = snakemake.params.family
    examples = open_examples(snakemake.input.examples, snakemake.input.attention)
    names = read_table(snakemake.input.clips).set_index("clip_id")[["title", "artist"]]
    annotations = read_table(snakemake.input.annotations).set_index(["clip_id", "time_s"])
    received = examples.read_received(family)
    clips = []
    for clip_id in examples.clip_ids:
        times, _ = received[TARGETS[0]][clip_id]
        truth = annotations.loc[clip_id].loc[times]
        clips.append(
            AttendedClip(
                clip_id=clip_id,
                **names.loc[clip_id],
                times_s=times,
                truth={target: truth[target].to_numpy() for target in TARGETS},
                received={target: received[target][clip_id][1] for target in TARGETS},
            )
        )
    labels, hop_s = examples.name_models(family), snakemake.params.hop_s
    save_figure(draw_attended_frames(clips, labels=labels, hop_s=hop_s), *snakemake.output)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
