"""Compute the frames of one clip from one audio file.

The digest of this module's code is part of the key under which features are stored, so the
module imports only what determines their values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotrace.audio.decoding import SAMPLE_RATE, read_audio
from emotrace.audio.frames import FrameGrid
from emotrace.features import load_feature_set
from emotrace.features.sound import Sound
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.threads import use_one_thread


@dataclass(frozen=True)
class Request:
    """A clip whose frames are to be computed.

    Parameters
    ----------
    feature_set : str
        Name of the feature set.
    clip_id : str
        Id of the clip.
    path : str
        Path of the audio file.
    sha256 : str
        SHA-256 of the bytes of the file at the time when the corpus was read.
    offset_s : float
        Position of the file's first sample on the time line of the annotations, in seconds.
    grid : FrameGrid
        Window and hop of the frames.
    """

    feature_set: str
    clip_id: str
    path: str
    sha256: str
    offset_s: float
    grid: FrameGrid


@dataclass(frozen=True)
class ClipFrames:
    """The frames of one clip.

    Parameters
    ----------
    times : numpy.ndarray, shape (frames,)
        Times at which the frames begin, in seconds on the time line of the annotations.
    values : numpy.ndarray, shape (frames, features), float32
        Features of each frame.
    """

    times: np.ndarray
    values: np.ndarray


class UncomputableError(EmotraceError):
    """Raised when a library fails on a clip, so that the clip can be left out.

    Parameters
    ----------
    message : str
        Message of the library.
    """


def extract_clip(request: Request) -> ClipFrames:
    """Decode one clip and compute its frames, with identical bits in every process.

    Parameters
    ----------
    request : Request
        Clip, feature set and frame grid.

    Returns
    -------
    ClipFrames
        Times and features of the frames.

    Raises
    ------
    UncomputableError
        If the feature set fails on the sound of this clip.
    EmotraceError
        If the reason lies elsewhere: the file cannot be read or has changed, or a library or
        a file that the feature set needs is missing. The error names the clip.

    Examples
    --------
    >>> import hashlib
    >>> from pathlib import Path
    >>> import soundfile
    >>> tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(88_200) / 44_100)
    >>> soundfile.write("tone.wav", tone, samplerate=44_100)
    >>> sha256 = hashlib.sha256(Path("tone.wav").read_bytes()).hexdigest()
    >>> grid = FrameGrid(window_s=0.5, hop_s=0.5)
    >>> clip = extract_clip(Request("compare", "tone", "tone.wav", sha256, 0.0, grid))
    >>> clip.times
    array([0. , 0.5, 1. , 1.5])
    >>> clip.values.shape
    (4, 6373)
    """
    use_one_thread()
    try:
        samples = read_audio(request.path, sha256=request.sha256)
        grid, offset_s = request.grid, request.offset_s
        n_frames = grid.count_frames(offset_s, len(samples) / SAMPLE_RATE)
        first = grid.first_frame(offset_s)
        start = round((first * grid.hop_s - offset_s) * SAMPLE_RATE)
        sound = Sound(samples[max(start, 0) :], SAMPLE_RATE, n_frames, grid)
        values = _extract_frames(request.feature_set, sound)
    except UncomputableError:
        raise
    except Exception as error:
        # Messages for the user come with a hint of their own.
        reason = str(error).partition("\nhint: ")[0]
        if not isinstance(error, EmotraceError):
            reason = f"{type(error).__name__}: {reason}"
        raise EmotraceError(
            f"clip {request.clip_id} ({request.path}): {request.feature_set} cannot be computed: "
            f"{reason}",
            hint="if the file has changed since the corpus was read, start the same command "
            "again; else leave the clip out",
        ) from None
    times = np.array([grid.frame_time(first + frame) for frame in range(n_frames)])
    return ClipFrames(times, np.nan_to_num(values))


def _extract_frames(feature_set: str, sound: Sound) -> np.ndarray:
    module = load_feature_set(feature_set)
    try:
        values = module.extract_frames(sound)
        if len(values) != sound.n_frames:
            raise ValueError(f"{len(values)} frames where there are {sound.n_frames}")
    except (EmotraceError, ImportError, OSError):
        raise  # Other clips would fail as well.
    except Exception as error:
        lines = str(error).splitlines()
        reason = ": ".join([type(error).__name__, *lines[:1]])
        raise UncomputableError(reason) from error
    return values
