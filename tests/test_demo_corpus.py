"""The demo corpus: reproducible, complete, and with the planted rule audible."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.signal import welch

from emotrace.corpora import demo, demo_composer, demo_music, demo_names, demo_synthesiser
from emotrace.runtime.errors import EmotraceError

N_CLIPS, DURATION_S, SEED = 12, 8.0, 5
RATE = demo_synthesiser.SAMPLE_RATE


def map_through_pickle(function, items):
    return map(pickle.loads(pickle.dumps(function)), items)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    demo_music.synthesise_corpus(
        path, n_clips=N_CLIPS, duration_s=DURATION_S, seed=SEED, map_clips=map_through_pickle
    )
    return path


@pytest.fixture(scope="module")
def clips() -> list[demo_music.DemoClip]:
    return [
        demo_music.synthesise_clip(clip_id, n_clips=N_CLIPS, duration_s=DURATION_S, seed=SEED)
        for clip_id in demo_names.demo_clip_ids(N_CLIPS)
    ]


def spectral_centroid(samples: np.ndarray) -> float:
    frequency, power = welch(samples, RATE, nperseg=4096)
    return float(np.log2(np.sum(frequency * power) / np.sum(power)))


def level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples.astype(float) ** 2)))


def render(genre: str = "Folk", **constant: float) -> tuple[np.ndarray, list[demo_composer.Note]]:
    """Play music whose controls stand still: as given, else 0."""
    curves = {name: np.full(161, constant.get(name, 0.0)) for name in demo_music.LOADINGS}
    (chosen,) = (g for g in demo_composer.GENRES if g.name == genre)
    style = demo_composer.draw_style(chosen, np.random.default_rng(0))
    notes, curves = demo_composer.compose(style, curves, 8.0, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    return demo_synthesiser.synthesise(notes, curves, duration_s=8.0, reverb=0.2, rng=rng), notes


def test_labels_need_no_heavy_import() -> None:
    code = (
        "import sys; from emotrace.corpora.demo import Corpus;"
        "print(Corpus(100, 45.0, 0).list_labels()[8][0]);"
        "assert not {'numpy', 'pandas', 'soundfile'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "demo_009"
    assert demo_names.demo_clip_ids(6)[0] == "demo_01"


def test_files_hold_what_the_clips_say(folder: Path, clips: list[demo_music.DemoClip]) -> None:
    table = pd.read_csv(folder / "clips.csv")
    assert list(table.columns) == [
        "clip_id",
        "path",
        "offset_s",
        "split",
        "artist",
        "title",
        "genre",
    ]
    labels = table[["clip_id", "artist", "split"]].itertuples(index=False, name=None)
    assert list(labels) == demo.Corpus(N_CLIPS, DURATION_S, SEED).list_labels()
    for row, clip in zip(table.to_dict("records"), clips, strict=True):
        assert row == clip.metadata
        samples, rate = soundfile.read(folder / row["path"], dtype="float32")
        assert rate == RATE and samples.shape == (DURATION_S * RATE,)
        np.testing.assert_array_equal(samples, clip.samples)
    annotations = pd.read_csv(folder / "annotations.csv")
    names = ["clip_id", "time_s", "arousal", "valence", "arousal_std", "valence_std"]
    assert list(annotations.columns) == names
    expected = pd.concat([clip.annotations for clip in clips], ignore_index=True)[names]
    pd.testing.assert_frame_equal(annotations, expected, check_dtype=False)
    assert annotations[["arousal", "valence"]].abs().max().max() <= 1
    assert (annotations[["arousal_std", "valence_std"]] > 0).all(axis=None)


def test_a_seed_is_a_corpus(clips: list[demo_music.DemoClip]) -> None:
    np.random.seed(3)
    state = np.random.get_state()[1].copy()
    make = dict(n_clips=N_CLIPS, duration_s=DURATION_S)
    again = demo_music.synthesise_clip("demo_05", seed=SEED, **make)
    other = demo_music.synthesise_clip("demo_05", seed=SEED + 1, **make)
    np.testing.assert_array_equal(again.samples, clips[4].samples)
    pd.testing.assert_frame_equal(again.annotations, clips[4].annotations)
    assert not np.array_equal(other.samples, again.samples)
    assert not np.allclose(other.annotations.arousal, again.annotations.arousal)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("n_clips", [4, 6, 8, 12, 48])
def test_splits_and_artists_suffice(n_clips: int) -> None:
    ids = demo_names.demo_clip_ids(n_clips)
    rows = pd.DataFrame([demo_music._describe_clip(c, i, n_clips) for i, c in enumerate(ids)])
    held_out = rows.split == "evaluation"
    assert 1 <= held_out.sum() <= n_clips / 3
    assert rows.artist.nunique() == (16 if n_clips == 48 else 4)
    assert rows.groupby("artist").genre.nunique().max() == 1
    shared = set(rows.artist[held_out]) & set(rows.artist[~held_out])
    assert len(shared) == (2 if n_clips == 48 else 0)


@pytest.mark.parametrize(
    ("duration_s", "first", "last"), [(45, 15, 44.5), (30, 15, 29.5), (6, 2, 5.5), (8.3, 3, 7.5)]
)
def test_annotated_frames_lie_within_the_audio(
    duration_s: float, first: float, last: float
) -> None:
    times = demo_music.annotated_times(duration_s)
    assert (times[0], times[-1]) == (first, last)
    np.testing.assert_array_equal(np.diff(times), 0.5)


def test_sound_is_clean(clips: list[demo_music.DemoClip]) -> None:
    levels = [level(clip.samples) for clip in clips]
    assert max(levels) - min(levels) > 8  # dB: loudness was not levelled out
    for clip in clips:
        root_mean_square = np.sqrt(np.mean(clip.samples**2))
        assert clip.samples.dtype == np.float32 and np.abs(clip.samples).max() <= 0.9
        assert abs(clip.samples.mean()) < 0.01 * root_mean_square
        assert abs(clip.samples[0]) < 1e-4 and abs(clip.samples[-1]) < 1e-4
        # A click would be one bend far sharper than all of its surroundings.
        bends = np.abs(np.diff(clip.samples, 2))
        place = int(np.argmax(bends))
        around = np.sort(bends[max(0, place - 2000) : place + 2000])
        assert bends[place] < 4 * around[-40]


def test_annotations_follow_the_planted_rule_and_the_sound(
    clips: list[demo_music.DemoClip],
) -> None:
    arousal = [clip.annotations.arousal.mean() for clip in clips]
    valence = [clip.annotations.valence.mean() for clip in clips]
    heard = [clip.samples[int(DURATION_S / 3 * RATE) :] for clip in clips]
    mode = [clip.controls["mode"][40:].mean() for clip in clips]
    assert np.corrcoef([level(s) for s in heard], arousal)[0, 1] > 0.6
    assert np.corrcoef([spectral_centroid(s) for s in heard], arousal)[0, 1] > 0.4
    assert np.corrcoef(mode, valence)[0, 1] > 0.6
    assert min(arousal) < -0.2 < 0.2 < max(arousal) and min(valence) < -0.2 < 0.2 < max(valence)


def test_each_control_is_heard() -> None:
    plain, _ = render(consonance=0.5)
    assert level(render(loudness=-0.5, consonance=0.5)[0]) == pytest.approx(
        level(plain) - 5.5, abs=0.5
    )
    bright, dark = (render(brightness=b, consonance=0.5)[0] for b in (0.6, -0.6))
    assert spectral_centroid(bright) > spectral_centroid(dark) + 0.5  # octaves
    # Roughness fills the gaps between harmonics: the spectrum gets flatter.
    flatness = [
        np.exp(np.mean(np.log(power))) / np.mean(power)
        for power in (
            welch(render("Chamber", consonance=c)[0], RATE, nperseg=16384)[1][40:1200]
            for c in (0.8, -0.8)
        )
    ]
    assert flatness[1] > 2 * flatness[0]


def test_notes_follow_tempo_register_and_mode() -> None:
    for tempo in (-0.5, 0.5):
        _, notes = render("Rock", tempo=tempo, loudness=0.6)
        snares = [note.start for note in notes if note.instrument == "snare"][:4]
        half_bar = 2 * 60 / (96 * 2 ** (0.72 * tempo))
        np.testing.assert_allclose(np.diff(snares), half_bar, atol=0.03)
    high, low = (
        np.mean([n.pitch for n in render(register=r, consonance=1)[1] if n.pitch])
        for r in (0.8, -0.8)
    )
    assert 5 < high - low < 14
    major = {note.pitch % 12 for note in render(mode=1.0, consonance=1)[1] if note.pitch}
    scales = [{(tonic + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)} for tonic in range(12)]
    assert any(major <= scale for scale in scales)
    minor = {note.pitch % 12 for note in render(mode=-1.0, consonance=1)[1] if note.pitch}
    assert not any(minor <= scale for scale in scales)  # a raised leading note, or a lowered second


def test_chords_move_by_the_nearest_way() -> None:
    c_major = demo_composer.lead_voices([0, 4, 7], (), 60.0)
    assert {p % 12 for p in c_major} == {0, 4, 7}
    f_major = demo_composer.lead_voices([5, 9, 0], c_major, 60.0)
    assert max(abs(a - b) for a, b in zip(c_major, f_major, strict=True)) <= 2


def test_annotations_are_mean_and_deviation_of_annotators(clips: list[demo_music.DemoClip]) -> None:
    for target in ("arousal", "valence"):
        ratings, table = clips[0].ratings[target], clips[0].annotations
        assert ratings.shape == (demo_names.N_ANNOTATORS, len(table))
        mean = ratings.sum(axis=0) / len(ratings)
        deviation = np.sqrt(((ratings - mean) ** 2).sum(axis=0) / len(ratings))
        np.testing.assert_allclose(table[target], mean, atol=1e-6)
        np.testing.assert_allclose(table[f"{target}_std"], deviation, atol=1e-6)
    spread = np.mean([c.annotations[["arousal_std", "valence_std"]].mean().mean() for c in clips])
    assert 0.12 < spread < 0.3


def test_annotators_lag_behind() -> None:
    time = np.arange(0, 45, 1 / demo_composer.CONTROL_RATE)
    emotion = np.where(time < 20, -0.5, 0.5)
    frames = np.arange(30, 90) * 0.5
    rngs = (np.random.default_rng(seed) for seed in range(40))
    crowd = np.mean(
        [demo_music.simulate_annotators(emotion, frames, rng) for rng in rngs], axis=(0, 1)
    )
    assert 1.0 < frames[np.argmax(crowd > 0)] - 20 < 4.0
    assert crowd[0] == pytest.approx(-0.5, abs=0.06) and crowd[-1] == pytest.approx(0.5, abs=0.06)


def test_impossible_requests_say_what_to_do() -> None:
    with pytest.raises(EmotraceError, match=r"3 clips.*at least 4(.|\n)*hint"):
        demo_names.demo_clip_ids(3)
    with pytest.raises(EmotraceError, match=r"2\.0 s.*at least 6"):
        demo_music.synthesise_clip("demo_01", n_clips=6, duration_s=2.0, seed=0)
    with pytest.raises(EmotraceError, match="no clip 'demo_07'"):
        demo_music.synthesise_clip("demo_07", n_clips=6, duration_s=6.0, seed=0)
