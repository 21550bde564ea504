from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emotrace.audio import SAMPLE_RATE, decode_audio, read_audio
from emotrace.corpus.examination import examine_audio
from emotrace.errors import EmotraceError

FREQUENCY = 440.0
DURATION_S = 2.0


def write_tone(
    path: Path, *, container: str, encoding: str, sample_rate: int, channels: int
) -> float:
    """Write a sine, louder in each further channel, and return the mean amplitude."""
    amplitudes = 0.1 * np.arange(1, channels + 1)
    times = np.arange(round(DURATION_S * sample_rate)) / sample_rate
    samples = np.outer(np.sin(2 * np.pi * FREQUENCY * times), amplitudes)
    soundfile.write(path, samples, sample_rate, format=container, subtype=encoding)
    return amplitudes.mean()


@pytest.mark.parametrize(
    ("name", "container", "encoding", "sample_rate", "channels"),
    [
        ("tone.wav", "WAV", "PCM_16", 44_100, 1),
        ("tone.wav", "WAV", "PCM_16", 16_000, 1),
        ("tone.wav", "WAV", "PCM_16", 22_050, 2),
        ("tone.wav", "WAV", "PCM_16", 48_000, 2),
        ("tone.wav", "WAVEX", "PCM_16", 44_100, 6),
        ("tone.wav", "WAV", "PCM_U8", 44_100, 2),
        ("tone.wav", "WAV", "PCM_24", 44_100, 2),
        ("tone.wav", "WAV", "FLOAT", 48_000, 2),
        ("tone.wav", "WAV", "DOUBLE", 44_100, 1),
        ("tone.aiff", "AIFF", "PCM_16", 44_100, 2),
        ("tone.ogg", "OGG", "VORBIS", 44_100, 2),
        ("tone.opus", "OGG", "OPUS", 48_000, 2),
        ("tone.flac", "FLAC", "PCM_24", 44_100, 6),
        ("tone.mp3", "MP3", "MPEG_LAYER_III", 44_100, 2),
        ("tone.mp3", "MP3", "MPEG_LAYER_III", 48_000, 2),
        ("tone.mp3", "MP3", "MPEG_LAYER_III", 16_000, 1),
        ("really an mp3.wav", "MP3", "MPEG_LAYER_III", 44_100, 2),
        ("really a wav.mp3", "WAV", "PCM_16", 44_100, 2),
        ("really a flac.ogg", "FLAC", "PCM_16", 44_100, 2),
        ("really a wav.raw", "WAV", "PCM_16", 44_100, 2),
        ("no extension", "OGG", "VORBIS", 44_100, 1),
        ('it\'s "loud" & 100% Ärger; Песня – 夜曲.mp3', "MP3", "MPEG_LAYER_III", 44_100, 2),
    ],
)
def test_any_format_becomes_the_same_tone(
    tmp_path: Path, name: str, container: str, encoding: str, sample_rate: int, channels: int
) -> None:
    path = tmp_path / name
    amplitude = write_tone(
        path, container=container, encoding=encoding, sample_rate=sample_rate, channels=channels
    )
    samples = read_audio(path)
    assert samples.dtype == np.float32
    assert samples.shape == (DURATION_S * SAMPLE_RATE,)
    times = np.arange(len(samples)) / SAMPLE_RATE
    # Level and phase of the sine by projection; 0.03 in phase is half a sample.
    found = 2j * (samples * np.exp(-2j * np.pi * FREQUENCY * times)).mean()
    assert abs(found / amplitude - 1) < 0.03
    rest = samples - amplitude * np.sin(2 * np.pi * FREQUENCY * times)
    assert rest.std() < 0.06 * amplitude

    examined = examine_audio(str(path))
    assert examined.problem == ""
    assert examined.duration_s == DURATION_S
    assert (examined.sample_rate, examined.channels) == (sample_rate, channels)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_from_a_pipe_is_read_to_its_end(tmp_path: Path, length: int) -> None:
    path = tmp_path / "streamed.wav"
    write_tone(path, container="WAV", encoding="PCM_16", sample_rate=SAMPLE_RATE, channels=1)
    content = bytearray(path.read_bytes())
    expected = read_audio(path)
    content[4:8] = content[40:44] = length.to_bytes(4, "little")
    path.write_bytes(content)
    np.testing.assert_array_equal(read_audio(path), expected)
    assert examine_audio(str(path)).problem == ""


def remove_length(content: bytes) -> bytes:
    """Drop the first frame of an MP3 file, which holds no music but the number of frames."""
    second = content.index(content[:2], 100)
    assert b"Xing" in content[:second]
    return content[second:]


@pytest.mark.parametrize(("sample_rate", "channels"), [(44_100, 2), (48_000, 1), (22_050, 1)])
@pytest.mark.parametrize("tag", [b"", b"ID3\4\0\0\0\0\2\0" + bytes(256)])
def test_mp3_of_variable_bit_rate_without_its_length_is_read_to_its_end(
    tmp_path: Path, sample_rate: int, channels: int, tag: bytes
) -> None:
    # A quiet beginning, then noise: the first frames say nothing of the rest.
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (6 * sample_rate, channels))
    noise[: 3 * sample_rate] *= 1e-3
    file = io.BytesIO()
    soundfile.write(
        file, noise, sample_rate, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5
    )
    complete, cut = tmp_path / "complete.mp3", tmp_path / "cut.mp3"
    complete.write_bytes(file.getvalue())
    cut.write_bytes(tag + remove_length(file.getvalue()))
    assert examine_audio(str(cut)).problem == ""
    expected, samples = (decode_audio(path.read_bytes(), path)[0] for path in (complete, cut))
    # Where the length is known, the delays of encoder and decoder are cut off.
    delay = len(samples) - len(expected)
    assert 0 <= delay < 0.1 * sample_rate
    middle = slice(2 * sample_rate, 5 * sample_rate)
    lags = range(delay + 1)
    assert any(np.array_equal(samples[lag:][middle], expected[middle]) for lag in lags)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfb\x90", b"RIFF", bytes(range(256)) * 20])
def test_file_without_audio_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "song.mp3"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EmotraceError, match=r"song\.mp3: cannot be read as audio(.|\n)*hint: "):
        read_audio(path)
