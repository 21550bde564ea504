"""The one way in which a file becomes samples."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from emotrace.runtime.errors import EmotraceError

if TYPE_CHECKING:
    import av

LIBRARIES = ("av", "soxr")
"""Whose versions decide the samples: av brings FFmpeg along."""

SAMPLE_RATE = 44_100
"""Hz; every feature is computed from audio at this rate, as in the paper."""

FORMATS = "aac,aiff,ape,asf,au,caf,flac,matroska,mov,mp3,mpc,mpc8,ogg,tta,w64,wav,wv"
"""FFmpeg's names of the formats that are read. Playlists, which name other files and
addresses to be opened, are not among them, nor is what takes any bytes for audio."""

MISREAD = ("g726", "g726le")
"""Codecs from which FFmpeg makes other samples than libsndfile, which wrote them."""


class Decoded(NamedTuple):
    """What was found in an audio file.

    Parameters
    ----------
    samples : numpy.ndarray, shape (samples, channels), float32
        In [-1, 1] for integer formats.
    sample_rate : int
        In Hz.
    announced_s : float
        Length according to the header, in seconds, which may count an encoder's
        delay in; 0 if no header says it.
    lost_s : float
        Seconds in the middle that the time stamps count and no samples fill.
    broken_s : float or None
        Second at which something between the samples could not be decoded.
    """

    samples: np.ndarray
    sample_rate: int
    announced_s: float
    lost_s: float
    broken_s: float | None


def decode_audio(content: bytes, path: str | Path) -> Decoded:
    """Decode a file's content as it is, whatever its extension says.

    Streams are read to their end, whatever their headers say.

    Parameters
    ----------
    content : bytes
        WAV, FLAC, Ogg, MP3, M4A, WMA or another of `FORMATS`.
    path : str or Path
        Where it was read from.

    Raises
    ------
    EmotraceError
        If it cannot be decoded.
    """
    import av

    try:
        with _open(io.BytesIO(content)) as container:
            stream = _find_audio(container)
            announced_s = _read_length(content, stream)
            frames, broken = _decode_stream(stream)
            samples, sample_rate = _join(frames)
    except (av.error.InvalidDataError, av.error.ArgumentError) as error:
        raise _refuse(path, "its format is not known, or it is damaged") from error
    except (av.error.FFmpegError, ValueError) as error:
        raise _refuse(path, getattr(error, "strerror", None) or error) from error
    broken_s = None if broken is None else sum(f.samples for f in frames[:broken]) / sample_rate
    return Decoded(samples, sample_rate, announced_s, _measure_gaps(frames), broken_s)


def mix_channels(samples: np.ndarray) -> np.ndarray:
    """Average channels: (samples, channels) become the (samples,) that features hear."""
    return samples.mean(axis=1, dtype=np.float32)


def read_file(path: str | Path) -> bytes:
    """Return the bytes of a regular file.

    Raises
    ------
    OSError
        If there is none, or it is a pipe or a device, which would be waited for
        without end.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(None, "it is a pipe, a socket or a device, not a regular file")
    return Path(path).read_bytes()


def read_audio(path: str | Path, *, sha256: str | None = None) -> np.ndarray:
    """Read a file as mono samples at 44.1 kHz.

    Channels are averaged; other rates are resampled with soxr's high quality, as
    ``librosa.resample`` does. Samples may lie beyond [-1, 1]: those of loud MP3 files
    do, and resampling overshoots.

    Parameters
    ----------
    path : str or Path
        Any file that `decode_audio` can decode.
    sha256 : str, optional
        Of the bytes that the file must have.

    Returns
    -------
    numpy.ndarray, shape (samples,), float32

    Raises
    ------
    EmotraceError
        If the file cannot be opened or decoded, or has other bytes.

    Examples
    --------
    >>> import soundfile
    >>> soundfile.write("second.wav", np.zeros((22_050, 2)), samplerate=22_050)
    >>> read_audio("second.wav").shape
    (44100,)
    """
    try:
        content = read_file(path)
    except (OSError, ValueError) as error:
        raise _refuse(path, getattr(error, "strerror", None) or error) from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise _refuse(path, "it is not the file that it was")
    decoded = decode_audio(content, path)
    mono = mix_channels(decoded.samples)
    if decoded.sample_rate == SAMPLE_RATE:
        return mono

    import soxr

    return soxr.resample(mono, decoded.sample_rate, SAMPLE_RATE, quality="HQ")


class _Unmeasured(io.BytesIO):
    """Bytes that do not say how many they are."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return super().seek(offset, whence) if whence in (os.SEEK_SET, os.SEEK_CUR) else 0


def _open(file: io.BytesIO, **options: str) -> av.container.InputContainer:
    import av

    options = {"format_whitelist": FORMATS, **options}
    # Tags in an unknown encoding are no reason to refuse the music.
    return av.open(file, options=options, metadata_errors="ignore")


def _find_audio(container: av.container.InputContainer) -> av.AudioStream:
    stream = container.streams.best("audio")
    if stream is None or stream.codec_context is None:
        raise ValueError("no audio in it that can be decoded")
    if stream.codec_context.name in MISREAD:
        raise ValueError("speech coded as G.721, G.723 or G.726 cannot be read reliably")
    stream.codec_context.thread_count = 1  # clips, not frames, are decoded side by side
    if stream.codec_context.name == "flac":
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    return stream


def _read_length(content: bytes, stream: av.AudioStream) -> float:
    """Read the seconds that a header announces; 0 where FFmpeg would guess from the bit rate."""
    import av

    container = stream.container
    if container.format.name == "mp3":
        # FFmpeg does not say whether it guesses, but of an unknown size it guesses 0.
        with _open(_Unmeasured(content), analyzeduration="1") as again:
            return _convert_duration(again.streams.best("audio"))
    if container.format.name == "aac" or stream.codec_context.codec.canonical_name == "mp3":
        return 0.0
    if stream.duration is None and len(container.streams) == 1:
        return (container.duration or 0) / av.time_base
    return _convert_duration(stream)


def _convert_duration(stream: av.AudioStream) -> float:
    return float((stream.duration or 0) * stream.time_base)


def _decode_stream(stream: av.AudioStream) -> tuple[list[av.AudioFrame], int | None]:
    """Decode all that can be decoded, and find the frame before which something cannot."""
    import av

    frames: list[av.AudioFrame] = []
    failures = []
    try:
        for packet in stream.container.demux(stream):
            try:
                frames += packet.decode()
            except av.error.InvalidDataError:
                failures.append(len(frames))
    except av.error.InvalidDataError:
        if not frames:
            raise
    # What comes after all samples are tags that FFmpeg does not know.
    return frames, next((frame for frame in failures if frame < len(frames)), None)


def _join(frames: list[av.AudioFrame]) -> tuple[np.ndarray, int]:
    """Put frames together as samples, (samples, channels), float32, and say their rate."""
    kinds = {(frame.sample_rate, frame.layout.nb_channels, frame.format.name) for frame in frames}
    if not kinds:
        raise ValueError("no audio in it that can be decoded")
    if len(kinds) > 1:
        raise ValueError("its sample rate or its number of channels changes in the middle")
    [(sample_rate, n_channels, _)] = kinds
    values = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    samples = values.T if frames[0].format.is_planar else values.reshape(-1, n_channels)
    if samples.dtype.kind == "f":
        return samples.astype(np.float32, copy=False), sample_rate
    middle = 128 if samples.dtype.kind == "u" else 0
    full_scale = np.float32(2.0 ** (8 * samples.itemsize - 1))
    return (samples.astype(np.float32) - middle) / full_scale, sample_rate


def _measure_gaps(frames: list[av.AudioFrame]) -> float:
    """Measure how far, in seconds, the time stamps run ahead of the samples."""
    stamped = [frame for frame in frames if frame.time is not None]
    if not stamped:
        return 0.0
    durations = np.array([frame.samples / frame.sample_rate for frame in stamped])
    ahead = np.array([frame.time for frame in stamped]) - (np.cumsum(durations) - durations)
    # Where files were joined, the time stamps may begin again, so that samples run ahead.
    return float((ahead - np.minimum.accumulate(ahead)).max())


def _refuse(path: str | Path, reason: object) -> EmotraceError:
    return EmotraceError(
        f"{path}: cannot be read as audio ({reason})",
        hint="convert it to WAV or FLAC, or leave the clip out of the corpus",
    )
