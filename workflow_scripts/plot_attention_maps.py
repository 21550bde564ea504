"""Draw the frames to which each predicted frame attended."""

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace import TARGETS
    from emotrace.evaluation.examples import open_examples
    from emotrace.figures.attention_maps import MapClip, draw_attention_maps
    from emotrace.figures.style import save_figure
    from emotrace.reruns.checksums import read_table

    family = snakemake.wildcards.family
    examples = open_examples(snakemake.input.examples, snakemake.input.attention)
    names = read_table(snakemake.input.clips).set_index("clip_id")[["title", "artist"]]
    maps = examples.read_maps(family)
    figure = draw_attention_maps(
        [
            MapClip(
                clip_id=clip_id,
                **names.loc[clip_id],
                times_s=maps[TARGETS[0]][clip_id][0],
                weights={target: maps[target][clip_id][1] for target in TARGETS},
            )
            for clip_id in examples.clip_ids
        ],
        labels=examples.name_models(family),
        hop_s=snakemake.params.hop_s,
        backward=snakemake.params.attention == "past",
    )
    save_figure(figure, *snakemake.output)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
