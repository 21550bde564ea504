"""What an audio file turns out to be when it is decoded from beginning to end.

The digest of this module's code is part of what inspections are kept under, so it
imports only what decides their outcome.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from emotrace.audio.decoding import Decoded, decode_audio, mix_channels, read_file
from emotrace.corpora.truncation import TOLERANCE_S, describe_truncation, lacks_end
from emotrace.runtime.errors import EmotraceError

SILENCE = 1e-4
"""Peak below which a file counts as silent, -80 dB of full scale: the dither of 16 bits."""

OVERLOAD = 2.0
"""Peak from which a file is said to be too loud; loud MP3 files reach 1.3."""

IMPLAUSIBLE = 32.0
"""Peak from which samples cannot be meant for a full scale of 1: 30 dB above it."""

INTEGER_SCALES = (2**7, 2**15, 2**23, 2**31)
"""Full scales of integers with 8, 16, 24 and 32 bits."""

CANCELLATION = 0.2
"""Of the energy that mixing leaves of independent channels; with less, they cancel each other."""


@dataclass(frozen=True)
class Inspection:
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


def inspect_audio(path: str) -> Inspection:
    """Decode a file from beginning to end and say what is wrong with it, if anything."""
    content = read_content(path)
    return content if isinstance(content, Inspection) else inspect_content(path, content)


def read_content(path: str) -> bytes | Inspection:
    """Return the bytes of a file, or why there are none."""
    try:
        return read_file(path)
    except FileNotFoundError:
        return Inspection("missing file")
    except (OSError, ValueError) as error:
        return Inspection(f"unreadable: {getattr(error, 'strerror', None) or error}")


def inspect_content(path: str, content: bytes) -> Inspection:
    """Decode what was read from a file and say what is wrong with it, if anything."""
    sha256 = hashlib.sha256(content).hexdigest()
    if not content:
        return Inspection("empty file (0 bytes)", sha256)
    try:
        decoded = decode_audio(content, path)
    except EmotraceError as error:
        reason = str(error).splitlines()[0].removeprefix(f"{path}: ")
        return Inspection(reason, sha256)
    samples, sample_rate = decoded.samples, decoded.sample_rate
    mono = mix_channels(samples)
    duration_s = len(samples) / sample_rate
    truncation = describe_truncation(content, decoded_s=duration_s, announced_s=decoded.announced_s)
    problems = [_describe_samples(samples, mono), _describe_damage(decoded) or truncation]
    problem = "; ".join(filter(None, problems))
    notes = [] if problem else _list_notes(content, decoded, mono)
    return Inspection(
        problem=problem,
        sha256=sha256,
        duration_s=duration_s,
        sample_rate=sample_rate,
        channels=samples.shape[1],
        samples_sha256=_digest_samples(mono, sample_rate),
        note="; ".join(notes),
    )


def _digest_samples(mono: np.ndarray, sample_rate: int) -> str:
    return hashlib.sha256(f"{sample_rate} ".encode() + mono.tobytes()).hexdigest()


def _describe_damage(decoded: Decoded) -> str:
    return "damaged: part of it cannot be decoded" if decoded.lost_s > TOLERANCE_S else ""


def _describe_samples(samples: np.ndarray, mono: np.ndarray) -> str:
    """Say why the samples cannot be used; nothing if they can."""
    if not np.isfinite(samples).all():
        return "samples that are not numbers"
    peak = np.abs(samples).max()
    if peak >= IMPLAUSIBLE:
        scale = next((scale for scale in INTEGER_SCALES if peak <= scale), None)
        remedy = f": integers stored as floats? divide them by {scale}" if scale else ""
        return f"samples of up to {peak:.5g} times full scale{remedy}"
    if _measure_swing(mono) >= SILENCE:
        return ""
    if _measure_swing(samples) >= SILENCE:
        return "silent: its channels cancel each other when they are mixed to mono"
    if peak >= SILENCE:
        return f"silent: nothing but a constant of {peak:.1g} of full scale"
    return f"silent: peak {peak:.1g} of full scale"


def _measure_swing(samples: np.ndarray) -> float:
    """Measure the largest distance of a sample from its channel's mean."""
    means = samples.mean(axis=0, dtype=np.float64).astype(np.float32)
    return float(np.abs(samples - means).max())


def _measure_kept_energy(samples: np.ndarray, mono: np.ndarray) -> float:
    """Measure the energy of the mix; 1 is what independent channels leave."""
    n_channels = samples.shape[1]
    if n_channels == 1:
        return 1.0
    energy = samples.var(axis=0, dtype=np.float64).mean()
    return float(n_channels * mono.var(dtype=np.float64) / energy)


def _list_notes(content: bytes, decoded: Decoded, mono: np.ndarray) -> list[str]:
    """List what the user should know about a file that can be used."""
    notes = []
    peak = np.abs(decoded.samples).max()
    if peak >= OVERLOAD:
        notes.append(f"peak {peak:.3g} times full scale: openSMILE hears it clipped")
    if (kept := _measure_kept_energy(decoded.samples, mono)) < CANCELLATION:
        notes.append(
            "mixed to mono, its channels cancel each other: "
            f"{100 * kept / decoded.samples.shape[1]:.2g} % of their energy is left"
        )
    if decoded.broken_s is not None:
        notes.append(f"something at {decoded.broken_s:.2f} s cannot be decoded")
    if lacks_end(content):
        notes.append("its last page is not marked as the end: it may have been cut off there")
    return notes
