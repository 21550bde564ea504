"""Draw chromagrams of the example clips on the time axis of their annotations."""

from emotrace.reruns.records import record_job
from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace import TARGETS
    from emotrace.audio.decoding import SAMPLE_RATE, read_audio
    from emotrace.audio.frames import FrameGrid
    from emotrace.features.compilation import compile_functions
    from emotrace.features.sound import HOP_LENGTH, Sound
    from emotrace.figures.attended_frames import find_attended
    from emotrace.figures.chromagrams import ChromaClip, draw_chromagrams
    from emotrace.figures.examples import open_examples
    from emotrace.figures.style import save_figure
    from emotrace.reruns.checksums import read_table

    grid = FrameGrid(**snakemake.params.frames)
    compile_functions("chroma", grid)
    examples = open_examples(snakemake.input.examples, snakemake.input.attention)
    clips = read_table(snakemake.input.clips).set_index("clip_id")
    annotations = read_table(snakemake.input.annotations).set_index("clip_id")
    maps = {}
    for family in snakemake.params.family:
        maps = examples.read_maps(family)
    drawn = []
    for clip_id in examples.clip_ids:
        clip = clips.loc[clip_id]
        chroma = Sound(read_audio(clip["path"]), SAMPLE_RATE, 0, grid).chroma_cqt
        end_s = clip["offset_s"] + chroma.shape[1] * HOP_LENGTH / SAMPLE_RATE
        times = annotations.loc[clip_id, "time_s"].to_numpy()
        covered = times[grid.is_covered(times, clip["offset_s"], clip["duration_s"])]
        attended = {}
        for target in TARGETS if maps else ():
            frame_times, weights = maps[target][clip_id]
            attended[target] = frame_times[find_attended(weights.mean(axis=0))]
        drawn.append(
            ChromaClip(
                clip_id=clip_id,
                title=clip["title"],
                artist=clip["artist"],
                chroma=chroma,
                sounding_s=(clip["offset_s"], end_s),
                span_s=(covered[0], covered[-1] + grid.hop_s),
                attended_s=attended,
            )
        )
    save_figure(draw_chromagrams(drawn, hop_s=grid.hop_s), *snakemake.output)


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output), record_job(snakemake):
        main()
