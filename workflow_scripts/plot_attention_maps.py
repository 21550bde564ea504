"""Draw which frames each predicted frame attended to."""

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace import TARGETS
    from emotrace.figures.attention_maps import MapClip, draw_attention_maps
    from emotrace.figures.examples import open_examples
    from emotrace.figures.style import save_figure
    from emotrace.reruns.checksums import read_table

    examples = open_examples(snakemake.input.examples, snakemake.input.attention)
    clips = read_table(snakemake.input.clips).set_index("clip_id")
    family = snakemake.wildcards.family
    maps = examples.read_maps(family)
    drawn = [
        MapClip(
            clip_id=clip_id,
            title=clips.loc[clip_id, "title"],
            artist=clips.loc[clip_id, "artist"],
            times_s=maps[TARGETS[0]][clip_id][0],
            weights={target: maps[target][clip_id][1] for target in TARGETS},
        )
        for clip_id in examples.clip_ids
    ]
    labels, hop_s = examples.name_models(family), snakemake.params.hop_s
    figure = draw_attention_maps(drawn, labels=labels, hop_s=hop_s, backward=family == "BAT")
    save_figure(figure, *snakemake.output)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
