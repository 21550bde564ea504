"""What an audio file turns out to be when it is decoded from beginning to end.

The digest of this module's code is part of what examinations are kept under, so it
imports only what decides their outcome.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotrace.audio import decode_audio
from emotrace.corpus.truncation import describe_truncation
from emotrace.errors import EmotraceError

SILENCE = 1e-4
"""Peak below which a file counts as silent, -80 dB of full scale: the dither of 16 bits."""


@dataclass(frozen=True)
class Examination:
    """What an audio file turned out to be.

    Parameters
    ----------
    problem : str
        Why the clip cannot be used; empty if it can.
    sha256 : str
        Of the file's bytes.
    duration_s : float
        Of what was decoded, in seconds.
    sample_rate : int
        In Hz.
    channels : int
    samples_sha256 : str
        Of the mono samples and their rate, the same however the file encodes them.
    note : str
        What is peculiar about the file though it can be used; empty if nothing is.
    """

    problem: str = ""
    sha256: str = ""
    duration_s: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    samples_sha256: str = ""
    note: str = ""


def examine_audio(path: str) -> Examination:
    """Decode a file from beginning to end and say what is wrong with it, if anything."""
    content = read_content(path)
    return content if isinstance(content, Examination) else examine_content(path, content)


def read_content(path: str) -> bytes | Examination:
    """Return the bytes of a file, or why there are none."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return Examination("missing file")
    except (OSError, ValueError) as error:
        return Examination(f"unreadable: {getattr(error, 'strerror', None) or error}")


def examine_content(path: str, content: bytes) -> Examination:
    """Decode what was read from a file and say what is wrong with it, if anything."""
    sha256 = hashlib.sha256(content).hexdigest()
    if not content:
        return Examination("empty file (0 bytes)", sha256)
    try:
        samples, sample_rate, announced = decode_audio(content, path)
    except EmotraceError as error:
        reason = str(error).splitlines()[0].removeprefix(f"{path}: ")
        return Examination(reason, sha256)
    duration_s = len(samples) / sample_rate
    truncation = describe_truncation(
        content, decoded_s=duration_s, announced_s=announced / sample_rate
    )
    return Examination(
        problem="; ".join(filter(None, [_describe_samples(samples), truncation])),
        sha256=sha256,
        duration_s=duration_s,
        sample_rate=sample_rate,
        channels=samples.shape[1],
        samples_sha256=_digest_samples(samples.mean(axis=1, dtype=np.float32), sample_rate),
    )


def _digest_samples(mono: np.ndarray, sample_rate: int) -> str:
    return hashlib.sha256(f"{sample_rate} ".encode() + mono.tobytes()).hexdigest()


def _describe_samples(samples: np.ndarray) -> str:
    if len(samples) == 0:
        return "empty: no audio in it"
    if not np.isfinite(samples).all():
        return "samples that are not numbers"
    peak = np.abs(samples).max()
    if peak < SILENCE:
        return f"silent: peak {peak:.1g} of full scale"
    return ""
