from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from emotrace.corpora.emomusic import LABEL_FILES, Corpus, unpack_archives
from emotrace.runtime.errors import EmotraceError

LABELS = """song_id,sample_15000ms,sample_15500ms,sample_16000ms
11,0.1,0.2,0.3
2,-0.5,,1.5
"""

# As published: tabs and blanks in and around the cells.
SONGS = (
    '"song_id","file_name","Artist","Song title","start of the segment (min.sec)",'
    '"end of the segment (min.sec)","Genre","Mediaeval 2013 set"\n'
    '2,"\t2.mp3","Ensemble  Sans\tNom\t","\tSlow, then   fast \t","\t0.1\t","\t0.55\t",'
    '"\tFolk\t","development"\n'
    '11,"\t11.mp3"," Zoë\t","\tNo. 3\t","\t1.1\t","\t1.55\t","\tJazz\t","evaluation"\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two annotated songs with a file each, and the file of a song that was withdrawn."""
    (tmp_path / "annotations").mkdir()
    for file in LABEL_FILES.values():
        (tmp_path / "annotations" / file).write_text(LABELS)
    (tmp_path / "annotations/songs_info.csv").write_text(SONGS, encoding="utf-8")
    (tmp_path / "clips_45sec").mkdir()
    for name in ("11.mp3", "2.mp3", "30.mp3", "._2.mp3"):
        (tmp_path / "clips_45sec" / name).touch()
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_tables_of_a_small_folder(folder: Path) -> None:
    edit(folder / "annotations/valence_cont_std.csv", "11,0.1,0.2,0.3", "11,0.4,0.5,0.6")
    clips, annotations = Corpus(str(folder), offset_s=30).read()
    paths = [str(folder / "clips_45sec" / f"{song}.mp3") for song in (2, 11)]
    assert clips.values.tolist() == [
        ["2", paths[0], 30.0, "development", "Ensemble Sans Nom", "Slow, then fast", "Folk"],
        ["11", paths[1], 30.0, "evaluation", "Zoë", "No. 3", "Jazz"],
    ]
    assert list(clips.columns) == [
        "clip_id",
        "path",
        "offset_s",
        "split",
        "artist",
        "title",
        "genre",
    ]

    names = ["clip_id", "time_s", "arousal", "arousal_std", "valence", "valence_std"]
    assert list(annotations.columns) == names
    assert annotations["clip_id"].tolist() == ["2"] * 3 + ["11"] * 3
    assert annotations["time_s"].tolist() == [15.0, 15.5, 16.0] * 2
    # Values that no label can have are for a later check to find.
    assert annotations["arousal"].fillna(9).tolist() == [-0.5, 9, 1.5, 0.1, 0.2, 0.3]
    assert annotations["valence_std"].tolist()[3:] == [0.4, 0.5, 0.6]


def test_song_without_file_is_left_out_with_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "clips_45sec/11.mp3").unlink()
    clips, annotations = Corpus(str(folder)).read()
    assert clips["clip_id"].tolist() == ["2"]
    assert annotations["clip_id"].unique().tolist() == ["2"]
    warnings = [record.getMessage() for record in caplog.records]
    assert [warning.rsplit(": ")[-1] for warning in warnings] == ["1 (30)", "1 (11)"]


def test_audio_is_listed_in_order_without_pandas(folder: Path) -> None:
    paths = [str(folder / "clips_45sec" / f"{song}.mp3") for song in (2, 11)]
    assert Corpus(str(folder), offset_s=30).list_audio() == [
        ("2", paths[0], 30.0),
        ("11", paths[1], 30.0),
    ]
    code = "import sys, emotrace.corpora.emomusic; sys.exit('pandas' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("arousal_cont_std.csv", "0.2", "o.2", "line 2, column 'sample_15500ms': found 'o.2'"),
        ("valence_cont_average.csv", "11,", "2,", "line 3: song 2 is there already, on line 2"),
        ("valence_cont_average.csv", "11,", "12,", r"not the same songs .* 2 \(11, 12\)"),
        ("valence_cont_std.csv", "sample_16000ms", "sample_1600ms", "not the same columns"),
        ("arousal_cont_average.csv", "sample_", "", "expected columns such as sample_15000ms"),
        ("arousal_cont_average.csv", "song_id", "song", "column 'song_id' is missing"),
        ("songs_info.csv", '"Genre"', '"Style"', "column 'Genre' is missing"),
        ("songs_info.csv", '"evaluation"', '"test"', "found 'test', expected development or"),
        ("songs_info.csv", "\n11,", "\n12,", r"no row for annotated songs: 1 \(11\)"),
        ("songs_info.csv", '"\t0.55\t",', "", "line 2: found 7 cells, expected 8"),
    ],
)
def test_malformed_file_is_named(folder: Path, file: str, old: str, new: str, message: str) -> None:
    edit(folder / "annotations" / file, old, new)
    with pytest.raises(EmotraceError, match=message) as refused:
        Corpus(str(folder)).read()
    assert file in str(refused.value)
    assert "hint: " in str(refused.value)


def test_missing_parts_are_named(folder: Path) -> None:
    with pytest.raises(EmotraceError, match=r"expected one folder clips\*"):
        Corpus(str(folder / "clips_45sec"), str(folder / "annotations")).read()
    (folder / "annotations/valence_cont_std.csv").unlink()
    with pytest.raises(EmotraceError, match=r"valence_cont_std\.csv: cannot be read"):
        Corpus(str(folder)).read()


def test_archives_become_a_corpus_whatever_their_folders(folder: Path, tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    with tarfile.open(archives / "clips_45sec.tar.gz", "w:gz") as archive:
        archive.add(folder / "clips_45sec", "data/clips_45seconds")
    with tarfile.open(archives / "annotations.tar.gz", "w:gz") as archive:
        for file in (folder / "annotations").iterdir():
            archive.add(file, file.name)
    unpack_archives(archives, tmp_path / "corpus")
    clips, annotations = Corpus(str(tmp_path / "corpus")).read()
    assert clips["clip_id"].tolist() == ["2", "11"]
    assert len(annotations) == 6


def test_real_corpus_has_the_published_properties(real_music: Path) -> None:
    clips, annotations = Corpus(str(real_music / "emomusic-excerpts"), offset_s=30.0).read()
    assert len(clips) == 744
    assert all(Path(path).is_file() for path in clips["path"])
    assert clips["split"].value_counts().to_dict() == {"development": 619, "evaluation": 125}
    assert clips["artist"].nunique() == 411
    assert clips[["artist", "title", "genre"]].ne("").all(axis=None)

    assert len(annotations) == 744 * 61
    assert annotations["clip_id"].drop_duplicates().tolist() == clips["clip_id"].tolist()
    times = annotations.groupby("clip_id")["time_s"]
    assert (times.min() == 15.0).all() and (times.max() == 45.0).all()
    assert annotations.notna().all(axis=None)
    targets = annotations[["arousal", "valence"]]
    assert targets.abs().max().max() == pytest.approx(0.77, abs=0.005)
    assert targets.std().tolist() == pytest.approx([0.296, 0.244], abs=0.0005)


def test_ten_full_clips_are_a_corpus(real_music: Path) -> None:
    clips, annotations = Corpus(
        str(real_music / "emomusic-full"), str(real_music / "emomusic-excerpts/annotations")
    ).read()
    assert clips["clip_id"].tolist() == ["2", "3", "4", "5", "7", "8", "10", "12", "13", "17"]
    assert len(annotations) == 610
