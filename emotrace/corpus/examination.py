"""What an audio file turns out to be when it is decoded from beginning to end."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from emotrace.audio import LIBRARIES, decode_audio
from emotrace.corpus.truncation import describe_truncation
from emotrace.errors import EmotraceError
from emotrace.provenance import digest_code, find_versions
from emotrace.store import digest_identity, write_file

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
    """

    problem: str = ""
    sha256: str = ""
    duration_s: float = 0.0
    sample_rate: int = 0
    channels: int = 0


def examine_audio(path: str, store: Path | None = None) -> Examination:
    """Decode a file from beginning to end and say what is wrong with it, if anything.

    Parameters
    ----------
    path : str
        Of the audio file.
    store : Path, optional
        Folder of the store. The same bytes, once examined, are not decoded again.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return Examination("missing file")
    except (OSError, ValueError) as error:
        return Examination(f"unreadable: {getattr(error, 'strerror', None) or error}")
    sha256 = hashlib.sha256(content).hexdigest()
    if store is None:
        return _examine_content(path, content, sha256)
    entry = locate_examination(store, sha256)
    examined = _read_entry(entry)
    if examined is None:
        examined = _examine_content(path, content, sha256)
        with write_file(entry) as unfinished:
            unfinished.write_text(json.dumps(asdict(examined)), encoding="utf-8")
    return examined


def locate_examination(store: Path, sha256: str) -> Path:
    """Name the entry of an audio file's bytes."""
    folder = store / "examinations" / digest_identity(_identify_examination())
    return folder / sha256[:2] / f"{sha256}.json"


@cache
def _identify_examination() -> dict[str, object]:
    code = digest_code("emotrace/corpus/examination.py")
    return {"code": code, "libraries": find_versions(*LIBRARIES)}


def _read_entry(entry: Path) -> Examination | None:
    try:
        return Examination(**json.loads(entry.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _examine_content(path: str, content: bytes, sha256: str) -> Examination:
    if not content:
        return Examination("empty file (0 bytes)", sha256)
    try:
        samples, sample_rate, announced = decode_audio(path, content=content)
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
    )


def _describe_samples(samples: np.ndarray) -> str:
    if len(samples) == 0:
        return "empty: no audio in it"
    if not np.isfinite(samples).all():
        return "samples that are not numbers"
    peak = np.abs(samples).max()
    if peak < SILENCE:
        return f"silent: peak {peak:.1g} of full scale"
    return ""
