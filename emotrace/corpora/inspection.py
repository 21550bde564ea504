"""Inspect an audio file by decoding it from beginning to end.

The digest of this module's code is part of the key under which inspections are stored, so the
module imports only what determines their result.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from emotrace.audio.decoding import Decoded, decode_audio, mix_channels, read_file
from emotrace.corpora.truncation import TOLERANCE_S, describe_truncation, lacks_end
from emotrace.runtime.errors import EmotraceError

SILENCE = 1e-4
"""Peak below which a file counts as silent: -80 dB of full scale, the level of 16-bit dither."""

OVERLOAD = 2.0
"""Peak from which a file is reported as too loud; loud MP3 files reach 1.3."""

IMPLAUSIBLE = 32.0
"""Peak from which samples cannot have a full scale of 1: 30 dB above full scale."""

INTEGER_SCALES = (2**7, 2**15, 2**23, 2**31)
"""Full scales of integers with 8, 16, 24 and 32 bits."""

CANCELLATION = 0.2
"""Share of energy below which channels count as cancelling each other when mixed; 1 is the
energy that remains of independent channels."""


@dataclass(frozen=True)
class Inspection:
    """Result of inspecting an audio file.

    Parameters
    ----------
    problem : str
        Reason why the clip cannot be used; empty if it can.
    sha256 : str
        SHA-256 of the bytes of the file.
    duration_s : float
        Duration of the decoded audio in seconds.
    sample_rate : int
        Sample rate in Hz.
    channels : int
        Number of channels.
    samples_sha256 : str
        SHA-256 of the mono samples and their rate, regardless of how the file encodes them.
    note : str
        Anything unusual about a usable file; empty if there is nothing.
    """

    problem: str = ""
    sha256: str = ""
    duration_s: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    samples_sha256: str = ""
    note: str = ""


def inspect_file(path: str) -> Inspection:
    """Decode a file from beginning to end, and describe what is wrong with it, if anything."""
    content = read_content(path)
    return content if isinstance(content, Inspection) else inspect_content(path, content)


def read_content(path: str) -> bytes | Inspection:
    """Return the bytes of a file, or an inspection with the reason why it cannot be read."""
    try:
        return read_file(path)
    except FileNotFoundError:
        return Inspection("missing file")
    except (OSError, ValueError) as error:
        return Inspection(f"unreadable: {getattr(error, 'strerror', None) or error}")


def inspect_content(path: str, content: bytes) -> Inspection:
    """Decode the bytes of a file, and describe what is wrong with it, if anything."""
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
    """Return the reason why the samples cannot be used; empty if they can."""
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
    """Return the largest distance of a sample from the mean of its channel."""
    means = samples.mean(axis=0, dtype=np.float64).astype(np.float32)
    return float(np.abs(samples - means).max())


def _measure_kept_energy(samples: np.ndarray, mono: np.ndarray) -> float:
    """Return the energy of the mix, relative to the energy that independent channels leave."""
    n_channels = samples.shape[1]
    if n_channels == 1:
        return 1.0
    energy = samples.var(axis=0, dtype=np.float64).mean()
    return float(n_channels * mono.var(dtype=np.float64) / energy)


def _list_notes(content: bytes, decoded: Decoded, mono: np.ndarray) -> list[str]:
    """List what the user should know about a usable file."""
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
