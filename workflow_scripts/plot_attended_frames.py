"""Draw the truth over time with the frames marked that received most attention."""

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace import TARGETS
    from emotrace.figures.attended_frames import AttendedClip, draw_attended_frames
    from emotrace.figures.examples import open_examples
    from emotrace.figures.style import save_figure
    from emotrace.reruns.checksums import read_table

    (family,) = snakemake.params.family
    examples = open_examples(snakemake.input.examples, snakemake.input.attention)
    clips = read_table(snakemake.input.clips).set_index("clip_id")
    annotations = read_table(snakemake.input.annotations).set_index("clip_id")
    maps = examples.read_maps(family)
    drawn = []
    for clip_id in examples.clip_ids:
        times, _ = maps[TARGETS[0]][clip_id]
        truth = annotations.loc[clip_id].set_index("time_s").loc[times]
        drawn.append(
            AttendedClip(
                clip_id=clip_id,
                title=clips.loc[clip_id, "title"],
                artist=clips.loc[clip_id, "artist"],
                times_s=times,
                truth={target: truth[target].to_numpy() for target in TARGETS},
                received={target: maps[target][clip_id][1].mean(axis=0) for target in TARGETS},
            )
        )
    labels, hop_s = examples.name_models(family), snakemake.params.hop_s
    figure = draw_attended_frames(drawn, labels=labels, hop_s=hop_s)
    save_figure(figure, *snakemake.output)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
