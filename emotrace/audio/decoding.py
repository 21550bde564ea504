"""Decode audio files to samples."""

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
"""Libraries whose versions determine the samples; av includes FFmpeg."""

SAMPLE_RATE = 44_100
"""Sample rate in Hz of the audio from which all features are computed, as in the paper."""

FORMATS = "aac,aiff,ape,asf,au,caf,flac,matroska,mov,mp3,mpc,mpc8,ogg,tta,w64,wav,wv"
"""FFmpeg's names of the supported formats. They do not include playlists, which name other files
and addresses to open, or formats that accept any bytes as audio."""

MISREAD = ("g726", "g726le")
"""Codecs that FFmpeg decodes to other samples than libsndfile, which wrote the files."""


class Decoded(NamedTuple):
    """Content of an audio file.

    Parameters
    ----------
    samples : numpy.ndarray, shape (samples, channels), float32
        Samples; in [-1, 1] for integer formats.
    sample_rate : int
        Sample rate in Hz.
    announced_s : float
        Duration according to the header, in seconds; it may include an encoder's delay. 0 if
        no header states it.
    lost_s : float
        Seconds in the middle that the time stamps count but that have no samples.
    broken_s : float or None
        Second at which data between the samples could not be decoded; None if there is none.
    """

    samples: np.ndarray
    sample_rate: int
    announced_s: float
    lost_s: float
    broken_s: float | None


def decode_audio(content: bytes, path: str | Path) -> Decoded:
    """Decode the content of a file according to its bytes, whatever its extension.

    Streams are read to their end, whatever their headers say.

    Parameters
    ----------
    content : bytes
        Content of a WAV, FLAC, Ogg, MP3, M4A or WMA file, or another of `FORMATS`.
    path : str or Path
        Path of the file, for error messages.

    Raises
    ------
    EmotraceError
        If the content cannot be decoded.
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
    """Average channels: (samples, channels) become (samples,), the input of all features."""
    return samples.mean(axis=1, dtype=np.float32)


def read_file(path: str | Path) -> bytes:
    """Return the bytes of a regular file.

    Raises
    ------
    OSError
        If the file does not exist, or is a pipe or a device, from which reading might never
        end.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(None, "it is a pipe, a socket or a device, not a regular file")
    return Path(path).read_bytes()


def read_audio(path: str | Path, *, sha256: str | None = None) -> np.ndarray:
    """Read a file as mono samples at 44.1 kHz.

    Channels are averaged; other rates are resampled with soxr's high quality, as in
    ``librosa.resample``. Samples can lie beyond [-1, 1], as in loud MP3 files, and because
    resampling overshoots.

    Parameters
    ----------
    path : str or Path
        Path of any file that `decode_audio` can decode.
    sha256 : str, optional
        Expected SHA-256 of the bytes of the file.

    Returns
    -------
    numpy.ndarray, shape (samples,), float32
        Mono samples.

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
    """A stream of bytes that does not reveal its size."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return super().seek(offset, whence) if whence in (os.SEEK_SET, os.SEEK_CUR) else 0


def _open(file: io.BytesIO, **options: str) -> av.container.InputContainer:
    import av

    options = {"format_whitelist": FORMATS, **options}
    # Do not refuse the music because of tags in an unknown encoding.
    return av.open(file, options=options, metadata_errors="ignore")


def _find_audio(container: av.container.InputContainer) -> av.AudioStream:
    stream = container.streams.best("audio")
    if stream is None or stream.codec_context is None:
        raise ValueError("no audio in it that can be decoded")
    if stream.codec_context.name in MISREAD:
        raise ValueError("speech coded as G.721, G.723 or G.726 cannot be read reliably")
    stream.codec_context.thread_count = 1  # parallel work is over clips, not over frames
    if stream.codec_context.name == "flac":
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    return stream


def _read_length(content: bytes, stream: av.AudioStream) -> float:
    """Read the duration that a header states, in seconds; 0 if FFmpeg would guess it."""
    import av

    container = stream.container
    if container.format.name == "mp3":
        # FFmpeg does not say whether it guesses, but if the size is unknown, its guess is 0.
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
    """Decode everything that can be decoded, and find the frame before which a part is broken."""
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
    # Broken data after all samples are tags that FFmpeg does not know.
    return frames, next((frame for frame in failures if frame < len(frames)), None)


def _join(frames: list[av.AudioFrame]) -> tuple[np.ndarray, int]:
    """Concatenate frames to samples, (samples, channels), float32, and return their rate."""
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
    """Return by how many seconds the time stamps are ahead of the samples."""
    stamped = [frame for frame in frames if frame.time is not None]
    if not stamped:
        return 0.0
    durations = np.array([frame.samples / frame.sample_rate for frame in stamped])
    ahead = np.array([frame.time for frame in stamped]) - (np.cumsum(durations) - durations)
    # In concatenated files, the time stamps may start again, so that the samples are ahead.
    return float((ahead - np.minimum.accumulate(ahead)).max())


def _refuse(path: str | Path, reason: object) -> EmotraceError:
    return EmotraceError(
        f"{path}: cannot be read as audio ({reason})",
        hint="convert it to WAV or FLAC, or leave the clip out of the corpus",
    )
