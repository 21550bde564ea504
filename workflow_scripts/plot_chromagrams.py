"""Draw chromagrams of the example clips on the time axis of their annotations."""

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.audio.frames import FrameGrid
    from emotrace.evaluation.examples import open_examples
    from emotrace.features.chromagram import COLUMN_S, compute_chromagram
    from emotrace.features.compilation import compile_functions
    from emotrace.figures.attended_frames import find_attended
    from emotrace.figures.chromagrams import ChromaClip, draw_chromagrams
    from emotrace.figures.style import save_figure
    from emotrace.reruns.checksums import read_table

    grid = FrameGrid(**snakemake.params.frames)
    compile_functions("chroma", grid)
    examples = open_examples(snakemake.input.examples, snakemake.input.attention)
    clips = read_table(snakemake.input.clips).set_index("clip_id")
    annotations = read_table(snakemake.input.annotations).set_index("clip_id")
    received = {}
    for family in snakemake.params.family:
        received = examples.read_received(family)
    drawn = []
    for clip_id in examples.clip_ids:
        clip = clips.loc[clip_id]
        chroma = compute_chromagram(clip["path"])
        frames = annotations.loc[clip_id, "time_s"].to_numpy()
        attended = {}
        for target, maps in received.items():
            times, weights = maps[clip_id]
            attended[target] = times[find_attended(weights)]
        drawn.append(
            ChromaClip(
                clip_id=clip_id,
                title=clip["title"],
                artist=clip["artist"],
                chroma=chroma,
                sounding_s=(clip["offset_s"], clip["offset_s"] + chroma.shape[1] * COLUMN_S),
                span_s=grid.find_span(frames, clip["offset_s"], clip["duration_s"]),
                attended_s=attended,
            )
        )
    save_figure(draw_chromagrams(drawn, hop_s=grid.hop_s), *snakemake.output)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
