from __future__ import annotations

import io
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from emotrace.audio.decoding import SAMPLE_RATE, decode_audio, read_audio
from emotrace.corpora.inspection import inspect_file
from emotrace.runtime.errors import EmotraceError

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
    # Of Vorbis, FFmpeg cuts the last block short.
    lacking = DURATION_S * SAMPLE_RATE - len(samples)
    assert lacking == 0 or (encoding == "VORBIS" and 0 < lacking <= 256)
    times = np.arange(len(samples)) / SAMPLE_RATE
    # Level and phase of the sine by projection; 0.03 in phase is half a sample.
    found = 2j * (samples * np.exp(-2j * np.pi * FREQUENCY * times)).mean()
    assert abs(found / amplitude - 1) < 0.03
    rest = samples - amplitude * np.sin(2 * np.pi * FREQUENCY * times)
    assert rest.std() < 0.06 * amplitude

    inspected = inspect_file(str(path))
    assert inspected.problem == ""
    assert inspected.duration_s == pytest.approx(DURATION_S - lacking / SAMPLE_RATE, abs=1e-9)
    assert (inspected.sample_rate, inspected.channels) == (sample_rate, channels)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_from_a_pipe_is_read_to_its_end(tmp_path: Path, length: int) -> None:
    path = tmp_path / "streamed.wav"
    write_tone(path, container="WAV", encoding="PCM_16", sample_rate=SAMPLE_RATE, channels=1)
    content = bytearray(path.read_bytes())
    expected = read_audio(path)
    content[4:8] = content[40:44] = length.to_bytes(4, "little")
    path.write_bytes(content)
    np.testing.assert_array_equal(read_audio(path), expected)
    assert inspect_file(str(path)).problem == ""


def make_glide(sample_rate: int = 16_000, seconds: float = 4.0) -> np.ndarray:
    """Glide through the octaves, first softly: no two moments are alike, nor bit rates."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    noise = np.random.default_rng(0).normal(0, 0.02, len(times))
    glide = 0.3 * np.sin(2 * np.pi * (200 + 150 * times) * times) + noise
    return (glide * np.where(times < seconds / 2, 0.1, 1)).astype(np.float32)


def encode(samples: np.ndarray, sample_rate: int = 16_000, **options: object) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, **options)
    return file.getvalue()


def encode_with_ffmpeg(samples: np.ndarray, *, container: str, codec: str, rate: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 96_000
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        sample_format = stream.codec_context.codec.audio_formats[0].name
        resampler = av.AudioResampler(format=sample_format, layout="mono", rate=rate)
        for converted in [*resampler.resample(frame), *resampler.resample(None), None]:
            output.mux(stream.encode(converted))
    return file.getvalue()


def correlate(decoded: np.ndarray, expected: np.ndarray) -> tuple[float, int]:
    """Find where the whole of what is expected lies in what was decoded, and how alike it is.

    Returns
    -------
    float
        1 if they are the same up to loudness.
    int
        Samples by which it comes later.
    """
    length = len(decoded) + len(expected)
    spectrum = np.fft.rfft(decoded, length) * np.fft.rfft(expected, length).conj()
    products = np.fft.irfft(spectrum, length)
    lag = int(products.argmax())
    lag -= length * (lag > length // 2)
    found = np.pad(decoded, (max(-lag, 0), len(expected)))[max(lag, 0) :][: len(expected)]
    return float(found @ expected / np.sqrt((found @ found) * (expected @ expected))), lag


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("ipod", "aac", 44_100),
        ("ipod", "aac", 16_000),
        ("ipod", "alac", 44_100),
        ("adts", "aac", 44_100),
        ("asf", "wmav2", 44_100),
        ("matroska", "libopus", 48_000),
        ("wv", "wavpack", 44_100),
    ],
)
def test_music_from_phones_and_from_old_players_is_read(
    tmp_path: Path, container: str, codec: str, rate: int
) -> None:
    music = make_glide(rate)
    content = encode_with_ffmpeg(music, container=container, codec=codec, rate=rate)
    decoded = decode_audio(content, "music")
    likeness, lag = correlate(decoded.samples[:, 0], music)
    assert likeness > 0.99
    assert abs(lag) <= 2048  # some containers count the encoder's delay in
    path = tmp_path / "music"
    path.write_bytes(content)
    inspected = inspect_file(str(path))
    assert (inspected.problem, inspected.note) == ("", "")
    path.write_bytes(content[: len(content) // 2])
    broken = inspect_file(str(path)).problem
    # A bare AAC stream says nowhere how long it is.
    assert broken.startswith(("truncated: ", "cannot be read as audio")) or container == "adts"


def split_mp3() -> tuple[bytes, bytes]:
    """Return a frame that can hold a tag, and an MP3 stream without one."""
    whole = encode(make_glide(), format="MP3", bitrate_mode="VARIABLE", compression_level=0.9)
    second = whole.index(whole[:2], 40)
    assert b"Xing" in whole[:second]
    header = bytes([whole[0], whole[1] | 1, 0xE0 | whole[2] & 0x0C, whole[3]])
    return header.ljust(72 * 160_000 // 16_000, b"\0"), whole[second:]


def insert(frame: bytes, tag: bytes, position: int) -> bytes:
    return frame[:position] + tag + frame[position + len(tag) :]


def tag_id3(size: int, *, version: int = 3, flags: int = 0, fill: bytes = b"\0") -> bytes:
    return b"ID3" + bytes([version, 0, flags, 0, 0, size >> 7, size & 127]) + fill * size


def wrap_in_wav(stream: bytes) -> bytes:
    layout = (0x55, 1, 16_000, 4000, 1, 0, 12, 1, 2, 288, 1, 1393)  # MPEGLAYER3WAVEFORMAT
    header = b"WAVEfmt " + struct.pack("<IHHIIHHHHIHHH", 30, *layout)
    data = header + b"data" + len(stream).to_bytes(4, "little") + stream
    return b"RIFF" + len(data).to_bytes(4, "little") + data


def forget_length(flac: bytes) -> bytes:
    # The last 36 bits of these eight bytes are the number of samples.
    kept = int.from_bytes(flac[18:26], "big") >> 36 << 36
    return insert(flac, kept.to_bytes(8, "big"), 18)


def stop_recording(wav: bytes) -> bytes:
    return insert(insert(wav, bytes(4), 4), bytes(4), wav.index(b"data") + 4)


def make_odd_files() -> dict[str, bytes]:
    frame, stream = split_mp3()
    whole = encode(make_glide(), format="MP3")
    n_frames = (4 * 16_000 // 576 + 2).to_bytes(4)
    vbri = b"VBRI" + struct.pack(">HHH", 1, 0, 75) + len(stream).to_bytes(4) + n_frames
    vbri += struct.pack(">HHHHH", 10, 1, 2, 12, 0)
    ape = struct.pack("<IIIIQ", 2000, 2000, 0, 0, 0)
    return {
        "MP3 without a header": stream,
        "VBRI": insert(frame, vbri, 36) + stream,
        "Xing with the count 0": insert(frame, b"Xing" + (1).to_bytes(4), 13) + stream,
        "Xing without a count": insert(frame, b"Xing", 13) + stream,
        "two ID3 tags": tag_id3(900) + tag_id3(300) + stream,
        "ID3v2.4 with a footer": tag_id3(256, version=4, flags=0x10)
        + b"3DI"
        + tag_id3(256, version=4, flags=0x10)[3:10]
        + stream,
        "zeros after the ID3 tag": tag_id3(256) + bytes(1500) + whole,
        "cover art that looks like frames": tag_id3(8000, fill=b"\xff\xfb\x90\x00") + whole,
        "tags behind the end": whole + b"APETAGEX" + ape + bytes(1968) + b"TAG" + bytes(125),
        "MP3 in WAV": wrap_in_wav(stream),
        "FLAC from a pipe": forget_length(encode(make_glide(), format="FLAC")),
        "FLAC behind an ID3 tag": tag_id3(900) + encode(make_glide(), format="FLAC"),
        "WAV of a recorder that lost power": stop_recording(encode(make_glide(), format="WAV")),
        "GSM in WAV": encode(make_glide(8000), 8000, format="WAV", subtype="GSM610"),
    }


@pytest.mark.parametrize("name", make_odd_files())
def test_odd_files_are_read_to_their_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / "clip"
    path.write_bytes(make_odd_files()[name])
    decoded = decode_audio(path.read_bytes(), path)
    likeness, lag = correlate(decoded.samples[:, 0], make_glide(decoded.sample_rate))
    assert likeness > 0.95
    assert abs(lag) < 0.15 * decoded.sample_rate  # delays of encoder and decoder
    inspected = inspect_file(str(path))
    assert (inspected.problem, inspected.note) == ("", "")


@pytest.mark.parametrize(
    "options",
    [
        {"format": "MP3"},
        {"format": "MP3", "bitrate_mode": "VARIABLE"},
        {"format": "OGG", "subtype": "VORBIS"},
        {"format": "OGG", "subtype": "OPUS"},
    ],
)
def test_joined_files_are_read_to_the_end_of_the_last(options: dict[str, str]) -> None:
    first, second = make_glide(48_000), make_glide(48_000)[::-1].copy()
    content = b"".join(encode(samples, 48_000, **options) for samples in (first, second))
    samples = decode_audio(content, "joined").samples[:, 0]
    for expected, start in ((first, 0), (second, len(first))):
        likeness, lag = correlate(samples, expected)
        assert likeness > 0.98
        assert abs(lag - start) < 0.1 * 48_000


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_that_does_not_mark_its_end_is_read_and_noted(tmp_path: Path, subtype: str) -> None:
    content = encode(make_glide(48_000), 48_000, format="OGG", subtype=subtype)
    path = tmp_path / "stream.ogg"
    path.write_bytes(clear_end_mark(content))
    inspected = inspect_file(str(path))
    assert inspected.problem == ""
    assert inspected.note.startswith("its last page is not marked as the end")
    assert inspected.duration_s == pytest.approx(4, abs=0.01)


def clear_end_mark(ogg: bytes) -> bytes:
    start = ogg.rindex(b"OggS")
    page = bytearray(ogg[start:])
    page[5] &= ~0x04
    page[22:26] = bytes(4)
    checksum = 0  # https://www.rfc-editor.org/rfc/rfc3533#section-6
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x04C11DB7 * (checksum >> 31)) & 0xFFFFFFFF
    page[22:26] = checksum.to_bytes(4, "little")
    return ogg[:start] + bytes(page)


def test_the_same_bytes_become_the_same_samples_in_every_thread() -> None:
    contents = [
        encode(make_glide(48_000), 48_000, format="MP3"),
        encode(make_glide(48_000), 48_000, format="FLAC"),
        encode_with_ffmpeg(make_glide(48_000), container="ipod", codec="aac", rate=48_000),
    ]
    expected = [decode_audio(content, "alone").samples for content in contents]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda content: decode_audio(content, "beside").samples, contents * 8)
        for samples, right in zip(found, expected * 8, strict=True):
            np.testing.assert_array_equal(samples, right)


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile '{}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_opens_no_other_file(tmp_path: Path, playlist: str) -> None:
    other, path = tmp_path / "other.wav", tmp_path / "clip.mp3"
    other.write_bytes(encode(make_glide(), format="WAV"))
    path.write_text(playlist.format(other))
    with pytest.raises(EmotraceError, match="its format is not known"):
        read_audio(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    os.mkfifo(path)
    for refused in (path, Path("/dev/zero")):
        with pytest.raises(EmotraceError, match="not a regular file"):
            read_audio(refused)
        assert inspect_file(str(refused)).problem.startswith("unreadable: it is a pipe, ")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfb\x90", b"RIFF", bytes(range(256)) * 20])
def test_file_without_audio_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "song.mp3"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EmotraceError, match=r"song\.mp3: cannot be read as audio(.|\n)*hint: "):
        read_audio(path)


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "G721_32"), ("AU", "G723_40")])
def test_speech_that_would_be_decoded_to_other_samples_is_refused(
    container: str, subtype: str
) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(8000), 8000, format=container, subtype=subtype)
    with pytest.raises(EmotraceError, match=r"G\.726 cannot be read reliably"):
        decode_audio(file.getvalue(), "speech")
