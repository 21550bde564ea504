"""Detect audio files that end too early."""

from __future__ import annotations

TOLERANCE_S = 0.1
"""Seconds that may be missing, because headers of MP3 files include encoder delays."""

STREAMED = 2**31 - 2**16
"""Smallest length in bytes that programs write to a pipe if they do not know the length."""


def describe_truncation(content: bytes, *, decoded_s: float, announced_s: float) -> str:
    """Describe what is missing at the end of an audio file; empty if nothing is.

    The content of WAV, AIFF and Ogg files is checked directly, because FFmpeg accepts a truncated
    file as complete. MP3 and AAC files without a header cannot be checked.

    Parameters
    ----------
    content : bytes
        Bytes of the file.
    decoded_s : float
        Seconds of audio that were decoded.
    announced_s : float
        Seconds of audio according to the header; 0 if the header does not say.
    """
    if announced_s - decoded_s > TOLERANCE_S:
        return f"truncated: {decoded_s:.2f} of {announced_s:.2f} s can be decoded"
    order = {b"RIFF": "little", b"FORM": "big"}.get(content[:4])
    if order:
        announced = 8 + int.from_bytes(content[4:8], order)
        missing_s = decoded_s * (announced / len(content) - 1)
        if announced < STREAMED and missing_s > TOLERANCE_S:
            return f"truncated: {len(content)} of {announced} bytes are there"
    if content[:4] == b"OggS" and not _is_complete(_find_last_page(content)):
        return "truncated: the last page is incomplete"
    return ""


def lacks_end(content: bytes) -> bool:
    """Return whether an Ogg file ends with a complete page that is not marked as the last.

    Some programs omit the mark. A file that was cut off between two pages looks the same.
    """
    return content[:4] == b"OggS" and not _find_last_page(content)[5] & 0x04


# Page layout: https://www.rfc-editor.org/rfc/rfc3533#section-6
def _find_last_page(content: bytes) -> bytes:
    return content[content.rfind(b"OggS") :]


def _is_complete(page: bytes) -> bool:
    return len(page) >= 27 and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
