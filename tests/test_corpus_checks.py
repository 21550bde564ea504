from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from emotrace.audio.frames import FrameGrid
from emotrace.corpora import emomusic, manifest
from emotrace.corpora.checks import (
    check_annotations_vary,
    describe_half_scale,
    explain_misfit,
    find_gaps,
    find_problems,
)
from emotrace.corpora.exclusion import check_excess
from emotrace.corpora.inspection import Inspection, inspect_file
from emotrace.runtime.errors import EmotraceError
from tests import music

NOBODY = 65534
GRID = FrameGrid(window_s=0.5, hop_s=0.5)


def make_noise(seconds: float = 3.0) -> np.ndarray:
    return music.make_noise(seconds)


def write(path: Path, samples: np.ndarray, *, container: str, encoding: str | None = None) -> None:
    soundfile.write(path, samples, 44_100, format=container, subtype=encoding)


def spoil(value: float) -> np.ndarray:
    samples = make_noise()
    samples[1000] = value
    return samples


def mix(left: np.ndarray, gain: float) -> np.ndarray:
    """Put the same sound on the right, louder or upside down."""
    return np.stack([left, gain * left], axis=1)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "missing file"),
        (lambda path: path.mkdir(), "unreadable: Is a directory"),
        (lambda path: path.touch(), "empty file (0 bytes)"),
        (
            lambda path: path.write_bytes(np.random.default_rng(0).bytes(9999)),
            "cannot be read as audio (its format is not known, or it is damaged)",
        ),
        (
            lambda path: path.write_text("<html><title>404 Not Found</title></html>"),
            "cannot be read as audio (its format is not known, or it is damaged)",
        ),
        (
            lambda path: write(path, make_noise(0), container="WAV"),
            "cannot be read as audio (no audio in it that can be decoded)",
        ),
        (
            lambda path: write(path, 1e-5 * make_noise(), container="WAV", encoding="FLOAT"),
            "silent: peak 5e-06 of full scale",
        ),
        (lambda path: write(path, 0 * make_noise(), container="MP3"), "silent: peak 0"),
        (
            lambda path: write(path, 0 * make_noise() + 0.5, container="WAV", encoding="FLOAT"),
            "silent: nothing but a constant of 0.5",
        ),
        (
            lambda path: write(path, mix(make_noise(), -1), container="FLAC"),
            "silent: its channels cancel each other",
        ),
        (
            lambda path: write(path, mix(make_noise(), -1) + 0.25, container="WAV"),
            "silent: its channels cancel each other",
        ),
        (
            lambda path: write(path, 65_000 * make_noise(), container="WAV", encoding="FLOAT"),
            "samples of up to 32500 times full scale: integers stored as floats? divide them by "
            "32768",
        ),
        (
            lambda path: write(path, spoil(1e19), container="WAV", encoding="FLOAT"),
            "samples of up to 1e+19 times full scale",
        ),
        (
            lambda path: write(path, spoil(np.nan), container="WAV", encoding="FLOAT"),
            "samples that are not numbers",
        ),
        (
            lambda path: write(path, spoil(-np.inf), container="WAV", encoding="FLOAT"),
            "samples that are not numbers",
        ),
    ],
)
def test_broken_file_gives_a_reason(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / "clip.wav"
    make(path)
    assert inspect_file(str(path)).problem.startswith(reason)


@pytest.mark.parametrize(
    ("samples", "note"),
    [
        (make_noise(), ""),
        (2.6 * make_noise(), ""),  # loud MP3 files reach 1.3
        (6 * make_noise(), "peak 3 times full scale: openSMILE hears it clipped"),
        (mix(make_noise(), 0.0), ""),
        (mix(make_noise(), -0.3), ""),
        (
            mix(make_noise(), -0.99),
            "mixed to mono, its channels cancel each other: 0.0025 % of their energy is left",
        ),
        (np.random.default_rng(0).uniform(-0.5, 0.5, (44_100, 16)), ""),
    ],
)
def test_loud_and_cancelling_channels_are_noted(
    tmp_path: Path, samples: np.ndarray, note: str
) -> None:
    path = tmp_path / "clip.wav"
    write(path, samples, container="WAV", encoding="FLOAT")
    inspected = inspect_file(str(path))
    assert (inspected.problem, inspected.note) == ("", note)


@pytest.mark.parametrize("share", [0.9, 0.4])
@pytest.mark.parametrize(
    ("container", "encoding", "reason"),
    [
        ("WAV", "PCM_16", "truncated: "),
        ("WAV", "FLOAT", "truncated: "),
        ("WAVEX", "PCM_24", "truncated: "),
        ("AIFF", "PCM_16", "truncated: "),
        ("FLAC", "PCM_16", "truncated: "),
        ("AU", "PCM_16", "truncated: "),
        ("OGG", "VORBIS", "truncated: "),
        ("OGG", "OPUS", "truncated: "),
        ("MP3", "MPEG_LAYER_III", "truncated: "),
    ],
)
def test_truncated_file_is_noticed_and_a_whole_one_passes(
    tmp_path: Path, container: str, encoding: str, reason: str, share: float
) -> None:
    path = tmp_path / "clip"
    if encoding == "OPUS":
        soundfile.write(path, make_noise(), 48_000, format=container, subtype=encoding)
    else:
        write(path, make_noise(), container=container, encoding=encoding)
    assert inspect_file(str(path)).problem == ""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert inspect_file(str(path)).problem.startswith(reason)


def test_last_page_of_ogg_must_be_whole(tmp_path: Path) -> None:
    path = tmp_path / "clip.ogg"
    write(path, make_noise(), container="OGG")
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert inspect_file(str(path)).problem == "truncated: the last page is incomplete"
    path.write_bytes(content[: content.rindex(b"OggS")])
    assert "may have been cut off" in inspect_file(str(path)).note


@pytest.mark.parametrize("container", ["FLAC", "OGG", "MP3"])
def test_damage_in_the_middle_is_named(tmp_path: Path, container: str) -> None:
    path = tmp_path / "clip"
    write(path, make_noise(), container=container)
    content = bytearray(path.read_bytes())
    middle, length = len(content) // 2, len(content) // 10
    content[middle : middle + length] = bytes(length)
    path.write_bytes(content)
    assert inspect_file(str(path)).problem.startswith(("damaged: ", "truncated: "))


@pytest.mark.parametrize("container", ["FLAC", "MP3"])
def test_little_damage_in_the_middle_is_noted(tmp_path: Path, container: str) -> None:
    path = tmp_path / "clip"
    write(path, make_noise(), container=container)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if container == "FLAC":
        content[middle] ^= 1
    else:  # what stands between two frames is no audio
        middle = content.index(content[:2], middle)
        content[middle:middle] = b"no audio" * 100
    path.write_bytes(content)
    inspected = inspect_file(str(path))
    assert (inspected.problem + inspected.note).endswith("cannot be decoded")


def test_real_mp3_passes_and_its_beginning_is_truncated(real_music: Path, tmp_path: Path) -> None:
    # Their headers count the encoder's delay in, so that even whole files decode to less.
    full = sorted((real_music / "emomusic-full/clips").glob("*.mp3"))
    excerpt = real_music / "emomusic-excerpts/clips/584.mp3"
    assert full
    cut = tmp_path / "cut.mp3"
    for path in [*full[:4], excerpt]:
        assert inspect_file(str(path)).problem == ""
        content = path.read_bytes()
        cut.write_bytes(content[: int(0.97 * len(content))])
        assert inspect_file(str(cut)).problem.startswith("truncated: ")


def test_file_without_permission_gives_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    write(path, make_noise(), container="WAV")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)  # root may read everything
    try:
        assert inspect_file(str(path)).problem == "unreadable: Permission denied"
    finally:
        os.seteuid(user)


def build_annotations(clip_id: str, times: list[float], **columns: list[float]) -> pd.DataFrame:
    fine = dict.fromkeys(("arousal", "valence"), 0.5)
    return pd.DataFrame({"clip_id": clip_id, "time_s": times} | fine | columns)


def test_every_problem_is_found_in_one_pass() -> None:
    fine = Inspection(duration_s=3.0)
    missing = Inspection("missing file")
    times = [15.0, 15.5, 16.0]
    nan = float("nan")
    # clip, what its file turned out to be, its annotations, reasons
    cases = [
        ("fine", fine, build_annotations("fine", times), ""),
        ("edges", fine, build_annotations("edges", times, arousal=[-1, 0, 1]), ""),
        ("gone", missing, build_annotations("gone", times), "missing file"),
        ("unrated", fine, None, "no annotations"),
        ("gone, unrated", missing, None, "missing file; no annotations"),
        (
            "nan",
            fine,
            build_annotations("nan", times, valence=[0, nan, 0]),
            "valence is not a number at 15.5 s",
        ),
        (
            "far",
            missing,
            build_annotations("far", times, arousal=[-1.01, 0.5, 2], valence=[nan, 0, 0]),
            "missing file; arousal is out of range at 15 s and 1 times more; "
            "valence is not a number at 15 s",
        ),
        ("again", fine, build_annotations("again", [15, 15.5, 15.5]), "annotated twice at 15.5 s"),
        (
            "nearly again",
            fine,
            build_annotations("nearly again", [15, 15.5, 15.5008, 16]),
            "annotated twice at 15.5008 s",
        ),
        (
            "deviant",
            fine,
            build_annotations(
                "deviant", times, arousal_std=[-0.1, 0, 1.41], valence_std=[nan, 1e308, math.inf]
            ),
            "arousal_std is out of range at 15 s; "
            "valence_std is out of range at 15.5 s and 1 times more",
        ),
        (
            "between",
            fine,
            build_annotations("between", [15, 15.5, 16.25]),
            "annotated between the frames of features.hop_s=0.5 at 16.25 s",
        ),
        (
            "short",
            Inspection(duration_s=0.74),
            build_annotations("short", times),
            "too short: 0.74 s of audio from second 15 on cover 1 annotated frames, 2 are needed",
        ),
        (
            "elsewhere",
            fine,
            build_annotations("elsewhere", [0.0, 0.5, 1.0]),
            "too short: 3.00 s of audio from second 15 on cover 0 annotated frames, 2 are needed",
        ),
        ("twin", fine, build_annotations("twin", times), "duplicate clip_id"),
        ("twin", missing, None, "missing file; duplicate clip_id"),
    ]
    ids, inspections, annotations, reasons = zip(*cases, strict=True)
    paths = [f"{clip}.wav" for clip in ids]
    clips = pd.DataFrame({"clip_id": ids, "path": paths, "offset_s": 15.0})
    clips = clips.join(pd.DataFrame(inspections))
    excluded = find_problems(clips, pd.concat(annotations), GRID)
    expected = [
        [clip, f"{clip}.wav", reason] for clip, reason in zip(ids, reasons, strict=True) if reason
    ]
    assert {tuple(row) for row in excluded.to_numpy().tolist()} == {tuple(row) for row in expected}
    assert len(excluded) == len(expected)


def list_excluded(n_excluded: int) -> pd.DataFrame:
    rows = [(f"clip {n}", f"{n}.wav", "silent; no annotations") for n in range(n_excluded)]
    return pd.DataFrame(rows, columns=["clip_id", "path", "reason"])


@pytest.mark.parametrize(
    # 0.29 * 100 and 0.07 * 100 are not whole in floating point.
    ("n_excluded", "n_clips", "max_excluded"),
    [(0, 5, 0.0), (1, 20, 0.05), (29, 100, 0.29), (7, 100, 0.07), (4, 5, 1.0)],
)
def test_clips_up_to_the_tolerated_fraction_are_excluded(
    n_excluded: int, n_clips: int, max_excluded: float
) -> None:
    check_excess(list_excluded(n_excluded), n_clips, max_excluded)


@pytest.mark.parametrize(
    ("n_excluded", "n_clips", "max_excluded", "message"),
    [
        (1, 5, 0.0, "1 of 5 clips cannot be used, more than corpus.max_excluded = 0 tolerates"),
        (30, 100, 0.29, "30 of 100 clips cannot be used, more than corpus.max_excluded = 0.29"),
        (5, 5, 1.0, "none of the 5 clips can be used"),
    ],
)
def test_more_excluded_clips_than_tolerated_stop_the_run(
    n_excluded: int, n_clips: int, max_excluded: float, message: str
) -> None:
    with pytest.raises(EmotraceError) as refused:
        check_excess(list_excluded(n_excluded), n_clips, max_excluded)
    lines = str(refused.value).splitlines()
    assert lines[0].startswith(message)
    assert "clip 0 (0.wav)" in str(refused.value)
    assert lines[-1].startswith("hint: ")


def test_clips_with_the_same_reason_are_counted_and_the_first_are_named() -> None:
    rows = [(f"{n}", f"{n}.wav", f"too short: {n / 100:.2f} s of audio") for n in range(744)]
    rows += [("x", "x.wav", "missing file"), ("y", "y.wav", "silent"), ("z", "z.wav", "silent")]
    excluded = pd.DataFrame(rows, columns=["clip_id", "path", "reason"])
    with pytest.raises(EmotraceError) as refused:
        check_excess(excluded, 747, 0.05, hint="set corpus.offset_s")
    assert str(refused.value).splitlines() == [
        "none of the 747 clips can be used:",
        "  744 clips, to take 0: too short: 0.00 s of audio",
        *(f"    {n} ({n}.wav)" for n in range(5)),
        "    and 739 more, which the job's log names",
        "  x (x.wav): missing file",
        "  2 clips: silent",
        "    y (y.wav)",
        "    z (z.wav)",
        "hint: set corpus.offset_s",
    ]


def build_corpus(offset_s: float, *values: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Four clips of 10 s, annotated from second 15 to 24 with the given values."""
    ids = ["a", "b", "c", "d"]
    clips = pd.DataFrame({"clip_id": ids, "path": ids, "offset_s": offset_s, "problem": ""})
    times = list(np.arange(15, 24, 0.5))
    columns = {target: np.resize(values, len(times)) for target in ("arousal", "valence")}
    annotations = pd.concat(build_annotations(clip, times, **columns) for clip in ids)
    return clips.assign(duration_s=10.0), annotations


def test_the_forgotten_setting_is_named() -> None:
    own = manifest.Corpus("clips.csv")
    fine = build_corpus(15, -0.5, 0.5)
    assert explain_misfit(*fine, GRID, own) is None
    scaled = explain_misfit(*build_corpus(15, 1.5, 8.75), GRID, own)
    assert "from 1.5 to 8.75" in scaled
    assert "corpus.annotation_scale" in scaled and scaled.endswith("such as [1, 9]")
    clips, halved = build_corpus(15, 1.5, 8.75)
    halved[["arousal", "valence"]] = (halved[["arousal", "valence"]] - 0.5) / 0.5
    from_0_to_1 = manifest.Corpus("clips.csv", annotation_scale=(0.0, 1.0))
    assert "from 1.5 to 8.75" in explain_misfit(clips, halved, GRID, from_0_to_1)
    early = build_corpus(0, -0.5, 0.5)
    hint = explain_misfit(*early, GRID, emomusic.Corpus())
    assert "annotated from second 15 to 23.5, its audio lies from second 0 to 10" in hint
    assert "set corpus.offset_s" in hint
    assert "column offset_s of corpus.clips" in explain_misfit(*early, GRID, own)


def test_labels_above_the_middle_of_the_default_scale_are_announced() -> None:
    _, annotations = build_corpus(0, 0.0, 1.0)
    own = manifest.Corpus("clips.csv")
    assert "annotation_scale: [0, 1]" in describe_half_scale(annotations, own)
    assert describe_half_scale(annotations, replace(own, annotation_scale=(0.0, 1.0))) is None
    assert describe_half_scale(annotations, emomusic.Corpus()) is None
    _, annotations = build_corpus(0, -0.1, 1.0)
    assert describe_half_scale(annotations, own) is None


def test_gaps_between_annotated_frames_are_found() -> None:
    clips, _ = build_corpus(0, 0.5)
    times = {
        "a": [0.0, 0.5, 1.000001, 1.5],
        "b": [0.0, 0.5, 2.0, 2.5, 4.0],
        "c": [-5.0, 1.0, 1.5, 12.0],  # what the audio does not cover is no gap
        "d": [3.0, 1.0, 2.0, 2.5],  # in any order
    }
    annotations = pd.concat(build_annotations(clip, found) for clip, found in times.items())
    assert find_gaps(clips, annotations, GRID) == {"b": "1 to 2 s", "d": "1.5 to 2 s"}


def test_a_target_that_never_varies_is_refused() -> None:
    annotations = pd.DataFrame({"clip_id": list("aab"), "arousal": [0.1, 0.2, 0.1], "valence": 0.3})
    with pytest.raises(EmotraceError, match=r"valence is 0\.3 at every frame(.|\n)*hint: "):
        check_annotations_vary(annotations)
    check_annotations_vary(annotations.assign(valence=[0.3, 0.3, 0.4]))
