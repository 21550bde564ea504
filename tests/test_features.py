from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import librosa
import numpy as np
import opensmile
import pytest
import soundfile
import torch
from librosa import feature
from torch import Tensor
from torch.nn import functional

from emotrace.audio.frames import FrameGrid
from emotrace.features import list_feature_sets, load_feature_set
from emotrace.features.chromagram import COLUMN_S, compute_chromagram
from emotrace.features.clip import ClipFrames, Request, extract_clip
from emotrace.features.musicnn_weights import read_weights
from emotrace.features.sound import Sound
from emotrace.runtime.errors import EmotraceError

RATE = 44_100
GRID = FrameGrid(window_s=0.5, hop_s=0.5)
OVERLAPPING = FrameGrid(window_s=1.0, hop_s=0.5)
SIZES = {
    "compare": 6373,
    "chroma": 24,
    "cqt": 252,
    "chroma_cqt": 276,
    "musicnn": 753,
    "spectral": 197,
}


def compose(seconds: float) -> np.ndarray:
    """Mix gliding and steady tones, a beat and noise, so that no two frames are alike."""
    times = np.arange(round(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * 110 * times), np.sin(2 * np.pi * (300 + 40 * times) * times)]
    beat = np.exp(-8 * (times % 0.37))
    noise = np.random.default_rng(1).normal(size=len(times))
    return (0.2 * tones[0] + beat * (0.2 * tones[1] + 0.05 * noise)).astype(np.float32)


def place(samples: np.ndarray, grid: FrameGrid = GRID) -> Sound:
    return Sound(samples, RATE, grid.count_frames(0, len(samples) / RATE), grid)


def extract(name: str, sound: Sound) -> dict[str, np.ndarray]:
    """Return the values of each column, (frames,)."""
    module = load_feature_set(name)
    values = module.extract_frames(sound)
    columns = module.column_names()
    assert values.dtype == np.float32
    assert values.shape == (sound.n_frames, len(columns))
    return dict(zip(columns, values.T, strict=True))


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    music = compose(4.3)
    music[-RATE:] *= 1e-5  # quieter than the 80 dB that decibels may span
    return music


# Names, in the place where they belong.


def test_feature_sets_have_their_sizes_and_unique_columns() -> None:
    names = {name: load_feature_set(name).column_names() for name in list_feature_sets()}
    assert {name: len(columns) for name, columns in names.items()} == SIZES
    assert all(len(set(columns)) == len(columns) for columns in names.values())


@pytest.mark.parametrize(
    ("frequency", "pitch_class", "bin_name"),
    [
        (440.0, "A", "cqt_A4"),
        (261.626, "C", "cqt_C4"),
        (1975.533, "B", "cqt_B6"),
        (440.0 * 2 ** (1 / 36), "A", "cqt_A4+33"),
        (1244.508 * 2 ** (2 / 36), "E", "cqt_D#6+67"),
    ],
)
def test_tone_is_found_under_its_name(frequency: float, pitch_class: str, bin_name: str) -> None:
    times = np.arange(3 * RATE) / RATE
    sound = place((0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32))

    def find_largest(columns: dict[str, np.ndarray], kind: str) -> str:
        kept = {name: values[1] for name, values in columns.items() if name.startswith(kind)}
        return max(kept, key=kept.__getitem__)

    both, spectral = extract("chroma_cqt", sound), extract("spectral", sound)
    assert find_largest(both, "cqt_") == bin_name
    for columns in (both, spectral):
        assert find_largest(columns, "chroma_stft_") == f"chroma_stft_{pitch_class}"
        assert find_largest(columns, "chroma_cqt_") == f"chroma_cqt_{pitch_class}"
    assert find_largest(spectral, "chroma_cens_") == f"chroma_cens_{pitch_class}"
    assert spectral["spectral_centroid"][1] == pytest.approx(frequency, rel=0.02)
    assert spectral["rms"][1] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert spectral["zero_crossing_rate"][1] == pytest.approx(2 * frequency / RATE, rel=0.02)


# Values, against the libraries called directly.

Fine = Callable[[np.ndarray], dict[str, np.ndarray]]


def number(prefix: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{prefix}_{row}": fine for row, fine in enumerate(values)}


def name_pitches(prefix: str, values: np.ndarray) -> dict[str, np.ndarray]:
    notes = librosa.key_to_notes("C:maj", unicode=False)
    return {f"{prefix}_{note}": fine for note, fine in zip(notes, values, strict=True)}


def compute_chroma(y: np.ndarray) -> dict[str, np.ndarray]:
    constant_q = feature.chroma_cqt(y=y, sr=RATE, bins_per_octave=36, tuning=0.0)
    return name_pitches("chroma_stft", feature.chroma_stft(y=y, sr=RATE)) | name_pitches(
        "chroma_cqt", constant_q
    )


def compute_cqt(y: np.ndarray) -> dict[str, np.ndarray]:
    fine = np.abs(librosa.cqt(y, sr=RATE, n_bins=252, bins_per_octave=36))
    # From C1 on in thirds of a semitone; librosa itself says which note a frequency is.
    names = []
    for frequency in librosa.cqt_frequencies(
        252, fmin=librosa.note_to_hz("C1"), bins_per_octave=36
    ):
        third = round(3 * librosa.hz_to_midi(frequency))
        note = librosa.midi_to_note(third // 3, unicode=False)
        names.append("cqt_" + note + ("", "+33", "+67")[third % 3])
    return dict(zip(names, fine, strict=True))


def compute_spectral(y: np.ndarray) -> dict[str, np.ndarray]:
    given = {"y": y, "sr": RATE}
    cens = feature.chroma_cens(**given, bins_per_octave=36, tuning=0.0)
    return {
        **compute_chroma(y),
        **name_pitches("chroma_cens", cens),
        **number("mfcc", feature.mfcc(**given, n_mfcc=20)),
        "rms": feature.rms(y=y)[0],
        **number("mel", feature.melspectrogram(**given)),
        "spectral_centroid": feature.spectral_centroid(**given)[0],
        "spectral_bandwidth": feature.spectral_bandwidth(**given)[0],
        **number("spectral_contrast", feature.spectral_contrast(**given)),
        "spectral_flatness": feature.spectral_flatness(y=y)[0],
        "spectral_rolloff": feature.spectral_rolloff(**given)[0],
        "zero_crossing_rate": feature.zero_crossing_rate(y)[0],
    }


def average(
    fine: np.ndarray, grid: FrameGrid, n_frames: int, step_s: float = 512 / RATE
) -> list[float]:
    """Average over each window, one value after the other."""
    means = []
    for frame in range(n_frames):
        start = frame * grid.hop_s
        inside = [
            value for i, value in enumerate(fine) if start <= i * step_s < start + grid.window_s
        ]
        means.append(sum(inside) / len(inside))
    return means


@pytest.mark.parametrize("grid", [GRID, OVERLAPPING], ids=["paper", "overlapping"])
@pytest.mark.parametrize(
    ("name", "compute"),
    [
        ("chroma", compute_chroma),
        ("cqt", compute_cqt),
        ("chroma_cqt", lambda y: compute_chroma(y) | compute_cqt(y)),
        ("spectral", compute_spectral),
    ],
)
def test_librosa_sets_are_means_of_what_librosa_computes(
    samples: np.ndarray, name: str, compute: Fine, grid: FrameGrid
) -> None:
    sound = place(samples, grid)
    columns, expected = extract(name, sound), compute(samples)
    assert list(columns) == list(expected)
    for column, values in columns.items():
        means = average(expected[column], grid, sound.n_frames)
        np.testing.assert_allclose(values, means, rtol=2e-4, atol=1e-6, err_msg=column)


@pytest.mark.parametrize("grid", [GRID, OVERLAPPING], ids=["paper", "overlapping"])
def test_compare_is_what_opensmile_computes(
    samples: np.ndarray, grid: FrameGrid, tmp_path: Path
) -> None:
    options = tmp_path / "frames.conf"
    options.write_text(
        f"frameMode = fixed\nframeSize = {grid.window_s}\nframeStep = {grid.hop_s}\n"
        "frameCenterSpecial = left\n"
    )
    smile = opensmile.Smile(
        opensmile.FeatureSet.ComParE_2016,
        opensmile.FeatureLevel.Functionals,
        options={"frameModeFunctionalsConf": str(options)},
    )
    expected = smile.process_signal(np.pad(samples, (0, 2 * RATE)), RATE)
    sound = place(samples, grid)
    columns = extract("compare", sound)
    assert list(columns) == list(expected.columns)
    # More silence behind the end is no other music, except to the last window.
    np.testing.assert_array_equal(
        np.stack(list(columns.values()), axis=1)[:-1],
        expected.to_numpy(np.float32)[: sound.n_frames - 1],
    )


def test_compare_hears_what_is_too_loud_as_a_file_of_16_bits_holds_it(
    samples: np.ndarray, tmp_path: Path
) -> None:
    # Cosines, which overshoot as loud music does, and a file that libsndfile clips.
    loud = samples + 1.1 * np.cos(2 * np.pi * 220 * np.arange(len(samples)) / RATE)
    assert np.abs(loud).max() > 1.2
    path, options = tmp_path / "clipped.wav", tmp_path / "frames.conf"
    soundfile.write(path, np.pad(loud, (0, RATE)), RATE, subtype="PCM_16")
    options.write_text(
        "frameMode = fixed\nframeSize = 0.5\nframeStep = 0.5\nframeCenterSpecial = left\n"
    )
    expected = opensmile.Smile(
        opensmile.FeatureSet.ComParE_2016,
        opensmile.FeatureLevel.Functionals,
        options={"frameModeFunctionalsConf": str(options)},
    ).process_file(path)
    found = extract("compare", place(loud.astype(np.float32)))
    for name in ("pcm_RMSenergy_sma_amean", "pcm_zcr_sma_amean", "mfcc_sma[1]_amean"):
        # Up to rounding to 16 bits.
        np.testing.assert_allclose(found[name], expected[name][: len(found[name])], rtol=0.02)


def test_compare_hears_music_that_overshoots_as_it_hears_a_softer_copy() -> None:
    times = np.arange(2 * RATE) / RATE
    tones = 1.0 * np.sin(2 * np.pi * 220 * times) + 0.25 * np.sin(2 * np.pi * 660 * times)
    loud = (1.02 * tones / np.abs(tones).max()).astype(np.float32)
    found, softer = (
        extract("compare", place(gain * loud)) for gain in (np.float32(1), np.float32(0.5))
    )
    for name in ("pcm_zcr_sma_amean", "pcm_fftMag_spectralCentroid_sma_amean"):
        np.testing.assert_allclose(found[name], softer[name], rtol=0.05)


@pytest.mark.parametrize("grid", [GRID, OVERLAPPING], ids=["paper", "overlapping"])
def test_compare_means_are_those_of_the_descriptors_in_each_window(
    samples: np.ndarray, grid: FrameGrid
) -> None:
    descriptors = opensmile.Smile(
        opensmile.FeatureSet.ComParE_2016, opensmile.FeatureLevel.LowLevelDescriptors
    ).process_signal(samples, RATE)
    columns = extract("compare", place(samples, grid))
    # Of these openSMILE takes all 10 ms frames, not only the voiced ones.
    names = ["pcm_RMSenergy_sma", "pcm_zcr_sma", "mfcc_sma[3]", "pcm_fftMag_spectralCentroid_sma"]
    starts = 10 * np.arange(len(descriptors))  # ms
    for name in names:
        for frame in range(6):  # the windows that the descriptors cover to their end
            first = 1000 * frame * grid.hop_s
            inside = (starts >= first) & (starts < first + 1000 * grid.window_s)
            mean = descriptors.loc[inside, name].mean()
            # One descriptor more or less changes the mean by some 1e-3.
            assert columns[f"{name}_amean"][frame] == pytest.approx(mean, rel=1e-5), name


def run_musicnn(spectrum: np.ndarray) -> np.ndarray:
    """Run the published layers, with torch's convolutions, ``(moments, 753)``."""
    weights = {key: torch.tensor(value) for key, value in read_weights().items()}

    def normalise(values: Tensor, number: int) -> Tensor:
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        kinds = ("moving_mean", "moving_variance", "gamma", "beta")
        return functional.batch_norm(values, *(weights[f"{name}/{k}"] for k in kinds), eps=1e-3)

    def convolve(values: Tensor, number: int) -> Tensor:
        """Map (1, 1, moments, bands) to (1, 1, moments, filters)."""
        name = f"conv2d_{number}" if number else "conv2d"
        kernel = weights[f"{name}/kernel"][:, :, None].permute(3, 2, 0, 1)
        length = kernel.shape[2]
        padded = functional.pad(values, (0, 0, (length - 1) // 2, length // 2))
        response = functional.relu(functional.conv2d(padded, kernel, weights[f"{name}/bias"]))
        return normalise(response, number + 1).amax(dim=3)[:, None].transpose(2, 3)

    heard = normalise(torch.tensor(spectrum)[None, None], 0)
    found = torch.cat([convolve(heard, number) for number in range(5)], dim=3)
    first = convolve(found, 5)
    second = convolve(first, 6) + first
    third = convolve(second, 7) + second
    return torch.cat([found, first, second, third], dim=3)[0, 0].numpy()


@pytest.mark.parametrize("grid", [GRID, OVERLAPPING], ids=["paper", "overlapping"])
def test_musicnn_is_the_mean_of_what_the_published_layers_compute(
    samples: np.ndarray, grid: FrameGrid
) -> None:
    slow = librosa.resample(samples, orig_sr=RATE, target_sr=16_000)
    mel = feature.melspectrogram(y=slow, sr=16_000, n_fft=512, hop_length=256, n_mels=96)
    fine = run_musicnn(np.log10(1 + 1e4 * mel.T)).T
    sound = place(samples, grid)
    columns = extract("musicnn", sound)
    assert list(columns)[407:409] == ["timbral_407", "temporal_0"]
    for values, expected in zip(columns.values(), fine, strict=True):
        means = average(expected, grid, sound.n_frames, step_s=0.016)
        np.testing.assert_allclose(values, means, rtol=1e-3, atol=1e-3)


def test_musicnns_weights_are_read_from_their_places() -> None:
    weights = read_weights()
    variances = [weights[name] for name in weights if name.endswith("moving_variance")]
    # Of what a rectifier lets through; elsewhere in the file values are of both signs.
    means = [weights[f"batch_normalization_{number}/moving_mean"] for number in range(1, 9)]
    assert all((values > 0).all() for values in variances)
    assert all((values >= 0).all() for values in means)
    assert sum(len(values) for values in means) == 753


def test_missing_or_other_weights_end_in_a_hint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Distribution:
        def locate_file(self, name: str) -> Path:
            return tmp_path / name

    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution())
    with pytest.raises(EmotraceError, match="weights of musicnn are not installed") as error:
        read_weights()
    assert "pip install --no-deps" in str(error.value)
    file = tmp_path / "musicnn/MSD_musicnn/.data-00000-of-00001"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(9_465_596))
    with pytest.raises(EmotraceError, match="holds other weights than musicnn 0.1.0"):
        read_weights()


# The grid of frames.


@pytest.mark.parametrize(
    ("grid", "offset_s", "duration_s", "first", "n_frames"),
    [
        (GRID, 0, 45.02, 0, 90),
        (GRID, 0, 45.0, 0, 90),
        (GRID, 30, 10.019, 60, 20),
        (GRID, 29.98, 10.019, 60, 20),
        (GRID, 30.02, 10.019, 61, 19),
        (GRID, 30, 10.0, 60, 20),
        (GRID, 30, 9.75, 60, 20),
        (GRID, 30, 9.74, 60, 19),
        (GRID, -0.2, 1.0, 0, 2),
        (GRID, 0, 0.2, 0, 0),
        (OVERLAPPING, 0, 10.0, 0, 20),
        (OVERLAPPING, 0, 9.99, 0, 19),
        (FrameGrid(0.1, 0.1), 0.3, 0.7, 3, 7),
    ],
)
def test_frames_that_the_audio_covers(
    grid: FrameGrid, offset_s: float, duration_s: float, first: int, n_frames: int
) -> None:
    assert grid.first_frame(offset_s) == first
    assert grid.count_frames(offset_s, duration_s) == n_frames


@pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")
@pytest.mark.parametrize("name", ["compare", "chroma"])
@pytest.mark.parametrize("seconds", [10.0, 0.25])
def test_every_covered_frame_has_a_row(name: str, seconds: float) -> None:
    columns = extract(name, place(compose(seconds)))
    assert {len(values) for values in columns.values()} == {20 if seconds == 10.0 else 1}
    assert all(np.isfinite(values).all() for values in columns.values())


@pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")
@pytest.mark.parametrize("name", sorted(SIZES))
def test_shortest_window_of_the_config_works(name: str) -> None:
    grid = FrameGrid(window_s=0.051, hop_s=0.051)
    columns = extract(name, place(compose(1.076), grid))  # the last window is half covered
    assert all(np.isfinite(values).all() for values in columns.values())


# Whole clips.


def write(path: Path, samples: np.ndarray) -> str:
    soundfile.write(path, samples, RATE, subtype="FLOAT", format="WAV")
    return str(path)


def extract_file(name: str, path: str, offset_s: float) -> ClipFrames:
    sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return extract_clip(Request(name, Path(path).stem, path, sha256, offset_s, GRID))


@pytest.mark.parametrize(
    # The fine-grained frames of librosa lie elsewhere in the excerpt; those of openSMILE do
    # not, but a few of its filters remember what was before.
    ("name", "largest"),
    [("compare", 0.02), ("spectral", 0.08)],
)
def test_excerpt_has_the_features_of_the_same_seconds(
    tmp_path: Path, name: str, largest: float
) -> None:
    music = compose(9.0)
    whole = write(tmp_path / "whole.wav", music)
    excerpt = write(tmp_path / "excerpt.wav", music[round(1.98 * RATE) :])
    expected = extract_file(name, whole, 0.0)
    found = extract_file(name, excerpt, 1.98)
    np.testing.assert_array_equal(expected.times, np.arange(18) / 2)
    np.testing.assert_array_equal(found.times, np.arange(4, 18) / 2)
    # Away from the border: the lowest filters of the constant-Q transform reach across it.
    a, b = expected.values[6:], found.values[2:]
    scale = np.abs(expected.values).mean(axis=0) + 1e-9
    distances = (np.abs(a[:, None] - b[None]) / scale).mean(axis=2)  # (frames, frames)
    np.testing.assert_array_equal(distances.argmin(axis=1), np.arange(len(a)))
    assert np.diag(distances).max() <= largest


@pytest.mark.parametrize("name", sorted(SIZES))
def test_real_music_has_twenty_finite_frames(name: str, real_music: Path) -> None:
    path = str(real_music / "emomusic-excerpts/clips/584.mp3")
    clip = extract_file(name, path, 30.0)
    np.testing.assert_array_equal(clip.times, np.arange(60, 80) / 2)
    assert clip.values.shape == (20, SIZES[name])
    assert np.isfinite(clip.values).all()
    assert np.abs(clip.values).max() < 1e30  # what infinity becomes
    # Some filters of musicnn answer to nothing in any music.
    assert (clip.values.std(axis=0) > 0).mean() > (0.75 if name == "musicnn" else 0.9)


def test_a_chromagram_is_drawn_of_what_the_set_chroma_averages(
    samples: np.ndarray, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "music.wav", samples, RATE, subtype="FLOAT")
    chroma = compute_chromagram(tmp_path / "music.wav")
    sound = place(samples)
    np.testing.assert_array_equal(chroma, sound.chroma_cqt)
    assert chroma.shape[1] * COLUMN_S == pytest.approx(len(samples) / RATE, abs=COLUMN_S)


def test_the_span_of_frames_ends_with_the_last_that_the_audio_covers() -> None:
    times = np.arange(30, 60) / 2
    assert GRID.find_span(times, 14.0, 6.2) == (15, 20)
    assert GRID.find_span(times, 16.0, 100.0) == (16, 30)
    assert FrameGrid(window_s=1.0, hop_s=1.0).find_span(times[::2], 14.0, 6.2) == (15, 20)
