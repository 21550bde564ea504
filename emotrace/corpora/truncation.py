"""Files that end before they should."""

from __future__ import annotations

TOLERANCE_S = 0.1
"""Seconds that may be missing: the headers of MP3 files count delays of encoders in."""

STREAMED = 2**31 - 2**16
"""Bytes; programs that write to a pipe put at least this for a length that they do not know."""


def describe_truncation(content: bytes, *, decoded_s: float, announced_s: float) -> str:
    """Say what is missing at the end of an audio file, or nothing.

    WAV, AIFF and Ogg are looked at themselves, because FFmpeg takes what is left
    of them for the whole. MP3 and AAC files without a header cannot be judged.

    Parameters
    ----------
    content : bytes
        Of the file.
    decoded_s : float
        Seconds of audio that were decoded.
    announced_s : float
        Seconds of audio according to the header; 0 if it does not say.
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
    """Tell whether an Ogg file ends with a whole page that is not marked as the last.

    Some programs leave the mark out, and a file that was cut off between two pages
    looks the same.
    """
    return content[:4] == b"OggS" and not _find_last_page(content)[5] & 0x04


# Layout of a page: https://www.rfc-editor.org/rfc/rfc3533#section-6
def _find_last_page(content: bytes) -> bytes:
    return content[content.rfind(b"OggS") :]


def _is_complete(page: bytes) -> bool:
    return len(page) >= 27 and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
