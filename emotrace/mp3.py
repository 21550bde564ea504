"""MP3 streams that do not say how long they are."""

from __future__ import annotations

SAMPLE_RATES = (44_100, 48_000, 32_000)
"""Hz in MPEG 1, by their code; MPEG 2 halves them and MPEG 2.5 quarters them."""

BIT_RATES = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Thousands of bits per second in MPEG 1, and later, by their code from 1 on."""


def announce_length(content: bytes) -> bytes:
    """Put the length before an MP3 stream that begins without it.

    libsndfile would guess it from the first frames, and cut streams of variable
    bit rate short. What is put first is a frame of silence with the tag "Xing",
    as encoders write it: http://gabriel.mp3-tech.org/mp3infotag.html

    Parameters
    ----------
    content : bytes
        Of any file.

    Returns
    -------
    bytes
        An MP3 stream with the number of its frames; anything else as it is.
    """
    stream = content[_measure_id3(content) :]
    if not _is_frame(stream[:4]) or any(tag in stream[:64] for tag in (b"Xing", b"Info", b"VBRI")):
        return content
    return _make_first_frame(stream[:4], _count_frames(stream)) + stream


def _measure_id3(content: bytes) -> int:
    if content[:3] != b"ID3" or len(content) < 10:
        return 0
    size = 0
    for byte in content[6:10]:
        size = size << 7 | byte
    return 10 + size


def _count_frames(stream: bytes) -> int:
    count = position = 0
    while position >= 0 and stream[position : position + 3] not in (b"", b"TAG", b"APE"):
        header = stream[position : position + 4]
        if _is_frame(header) and header[1] == stream[1]:
            count += 1
            position += _measure_frame(header)
        else:
            position = stream.find(stream[:2], position + 1)
    return count


def _is_frame(header: bytes) -> bool:
    # Eleven bits of synchronisation, a version and layer III, a bit rate, a sample rate.
    return (
        len(header) == 4
        and header[0] == 0xFF
        and header[1] & 0xE6 == 0xE2
        and header[1] & 0x18 != 0x08
        and 1 <= header[2] >> 4 <= 14
        and header[2] & 0x0C != 0x0C
    )


def _measure_frame(header: bytes) -> int:
    version = header[1] >> 3 & 3  # 3, 2, 0 for MPEG 1, 2, 2.5
    sample_rate = SAMPLE_RATES[header[2] >> 2 & 3] >> {3: 0, 2: 1, 0: 2}[version]
    bit_rate = 1000 * BIT_RATES[version == 3][(header[2] >> 4) - 1]
    padding = header[2] >> 1 & 1
    return (144 if version == 3 else 72) * bit_rate // sample_rate + padding


def _make_first_frame(header: bytes, n_frames: int) -> bytes:
    # Without a checksum, and at code 9 of the bit rates, so that the tag has room.
    header = bytes([header[0], header[1] | 1, 0x90 | header[2] & 0x0C, header[3]])
    mono = header[3] >> 6 == 3
    side_information = (17 if mono else 32) if header[1] & 0x08 else (9 if mono else 17)
    tag = b"Xing" + (1).to_bytes(4) + n_frames.to_bytes(4)
    return (header + bytes(side_information) + tag).ljust(_measure_frame(header), b"\0")
