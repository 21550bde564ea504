from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from emotrace.config.loading import load_config
from emotrace.config.planning import check_drawn_clips
from emotrace.corpora.manifest import Corpus
from emotrace.runtime.errors import EmotraceError

CLIPS = "clip_id,path\n007,music/a.wav\n12,/elsewhere/b.flac\n"
ANNOTATIONS = "clip_id,time_s,arousal,valence\n007,0.5,1,9\n007,1.0,5,3\n12,0.5,,NA\n"


Write = Callable[..., tuple[str, str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the two files and return their paths."""

    def write_files(
        clips: str = CLIPS, annotations: str = ANNOTATIONS, encoding: str = "utf-8"
    ) -> tuple[str, str]:
        paths = tmp_path / "clips.csv", tmp_path / "annotations.csv"
        for path, text in zip(paths, (clips, annotations), strict=True):
            path.write_bytes(text.encode(encoding))
        return str(paths[0]), str(paths[1])

    return write_files


def test_smallest_manifest(write: Write, tmp_path: Path) -> None:
    clips, annotations = Corpus(*write(), annotation_scale=(1, 9)).read()
    assert clips.values.tolist() == [
        ["007", str(tmp_path / "music/a.wav"), 0.0, "", "", "", ""],
        ["12", "/elsewhere/b.flac", 0.0, "", "", "", ""],
    ]
    assert annotations["clip_id"].tolist() == ["007", "007", "12"]
    assert annotations["time_s"].tolist() == [0.5, 1.0, 0.5]
    assert annotations["arousal"].fillna(7).tolist() == [-1.0, 0.0, 7.0]
    assert annotations["valence"].fillna(7).tolist() == [1.0, -0.5, 7.0]
    assert annotations[["arousal_std", "valence_std"]].isna().all(axis=None)


def test_all_columns_and_deviations_on_the_scale(write: Write, tmp_path: Path) -> None:
    clips, annotations = Corpus(
        *write(
            "genre,clip_id,offset_s,path,title,artist,split,own note\n"
            'Folk,1,15.5,a.wav,"Slow, then fast",Zoë,evaluation,x\n',
            "clip_id,time_s,arousal,arousal_std,valence,valence_std\n1,15.5,0,0.25,1,0.5\n",
        ),
        annotation_scale=(0, 1),
    ).read()
    row = clips.iloc[0].drop("path").tolist()
    assert row == ["1", 15.5, "evaluation", "Zoë", "Slow, then fast", "Folk"]
    assert Corpus(str(tmp_path / "clips.csv")).list_audio() == [
        ("1", str(tmp_path / "a.wav"), 15.5)
    ]
    assert annotations.values.tolist() == [["1", 15.5, -1.0, 0.5, 1.0, 1.0]]


def test_values_on_our_scale_are_unchanged(write: Write) -> None:
    values = [0.1, -0.7, 1.3, 1e-17]
    rows = "".join(f"12,{time},{value},0\n" for time, value in enumerate(values))
    _, annotations = Corpus(*write(annotations=ANNOTATIONS.split("\n")[0] + "\n" + rows)).read()
    assert annotations["arousal"].tolist() == values


def test_spreadsheet_exports_are_understood(write: Write) -> None:
    clips = CLIPS.replace("\n", "\r\n") + ",\r\n\r\n"
    paths = write(clips, ANNOTATIONS.replace("\n", "\r\n"), encoding="utf-8-sig")
    assert [clip_id for clip_id, *_ in Corpus(*paths).list_audio()] == ["007", "12"]
    assert len(Corpus(*paths).read()[1]) == 3


def test_duplicate_ids_pass_to_the_later_check(write: Write) -> None:
    paths = write(CLIPS + "007,c.wav\n")
    assert [clip_id for clip_id, *_ in Corpus(*paths).list_audio()] == ["007", "12", "007"]
    assert Corpus(*paths).read()[0]["clip_id"].tolist() == ["007", "12", "007"]


def test_annotations_of_unlisted_clips_are_left_out(
    write, caplog: pytest.LogCaptureFixture
) -> None:
    _, annotations = Corpus(*write(annotations=ANNOTATIONS + "7,0.5,0,0\n")).read()
    assert annotations["clip_id"].tolist() == ["007", "007", "12"]
    assert caplog.messages[0].endswith(": 1 (7)")


@pytest.mark.parametrize(
    ("clips", "annotations", "message"),
    [
        ("Clip ID,path\n1,a\n", None, "'clip_id' is missing; (.|\n)*is 'Clip ID' meant"),
        ("clip_id,path\n,a\n", None, "clips.csv, line 2, column 'clip_id': found nothing"),
        ("clip_id,path\n1,a,b\n", None, "clips.csv, line 2: found 3 cells, expected 2"),
        ("clip_id,path,path\n1,a,b\n", None, "'path' is there more than once"),
        ("clip_id;path\n1;a\n", None, "separated by semicolons, expected commas"),
        ('"clip_id"\t"path"\n1\ta\n', None, "separated by tabs, expected commas"),
        ('clip_id,path\n1,"a\n', None, "clips.csv, line 2: is not valid CSV"),
        ("clip_id,path,split\n1,a,Evaluation\n", None, "line 2: 'Evaluation'; .* evaluation\\?"),
        (
            "clip_id,path,split\n1,a,train\n2,b,\n3,c,evaluation\n4,d,dev\n5,e,train\n",
            None,
            r"clips.csv, column 'split': expected development, evaluation or nothing, found\n"
            r"  line 2 and 1 more: 'train'; did you mean development\?\n"
            r"  line 5: 'dev'; did you mean development\?\n",
        ),
        ("clip_id,path,split\n1,a,fold 3\n", None, "line 2: 'fold 3'\nhint: models learn from"),
        ("clip_id,path,offset_s\n1,a,\n", None, "line 2, column 'offset_s': found ''"),
        ("", None, "clips.csv: is empty"),
        (
            None,
            "clip_id,time,arousal,valence\n1,0,0,0\n",
            "'time_s' is missing; (.|\n)*is 'time' meant",
        ),
        (
            None,
            'clip_id,time_s,arousal,valence\n1,0,0,0\n\n1,1,0,"0,5"\n',
            "annotations.csv, line 4, column 'valence': found '0,5', expected a number",
        ),
        (
            None,
            "clip_id,time_s,arousal,valence\n1,nan,0,0\n",
            "annotations.csv, line 2, column 'time_s': found 'nan'",
        ),
    ],
)
def test_mistake_is_named(
    write: Write, clips: str | None, annotations: str | None, message: str
) -> None:
    paths = write(
        CLIPS if clips is None else clips, ANNOTATIONS if annotations is None else annotations
    )
    with pytest.raises(EmotraceError, match=message) as refused:
        Corpus(*paths).read()
    assert "hint: " in str(refused.value)
    if clips is not None:  # also when the workflow is planned
        with pytest.raises(EmotraceError, match=message):
            Corpus(*paths).list_audio()


def test_unreadable_files_and_scales_are_named(write: Write, tmp_path: Path) -> None:
    paths = write(CLIPS.replace("a.wav", "ä.wav"), encoding="latin-1")
    with pytest.raises(EmotraceError, match="clips.csv: is not UTF-8"):
        Corpus(*paths).read()
    with pytest.raises(EmotraceError, match="absent.csv: cannot be read"):
        Corpus(str(tmp_path / "absent.csv")).list_audio()
    with pytest.raises(EmotraceError, match=r"annotation_scale: found \(9, 1\)"):
        Corpus(*write(), annotation_scale=(9, 1)).read()


def test_paths_below_a_home_folder_are_found(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "~.wav").touch()
    paths = write("clip_id,path\n007,~/music/a.wav\n12,~.wav\n")
    expected = [str(tmp_path / "home/music/a.wav"), str(tmp_path / "~.wav")]
    assert [path for _, path, _ in Corpus(*paths).list_audio()] == expected
    assert Corpus(*paths).read()[0]["path"].tolist() == expected
    paths = write("clip_id,path\n007,~nosuchuser/a.wav\n")
    with pytest.raises(EmotraceError, match="line 2, column 'path': found '~nosuchuser/a.wav'"):
        Corpus(*paths).list_audio()


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_names_are_found_however_their_accents_are_spelt(
    on_disk: str, write: Write, tmp_path: Path
) -> None:
    spell = partial(unicodedata.normalize, on_disk)
    other = partial(unicodedata.normalize, {"NFC": "NFD", "NFD": "NFC"}[on_disk])
    folder = tmp_path / spell("Zoë")
    folder.mkdir()
    (folder / spell("é.wav")).touch()
    annotations = ANNOTATIONS.replace("12", spell("ü"))
    text = f"clip_id,path\n007,{other('Zoë')}/{spell('é.wav')}\n{other('ü')},{other('Zoë/é.wav')}\n"
    paths = write(text + "absent,ñ.wav\n", annotations)
    found = [path for _, path, _ in Corpus(*paths).list_audio()]
    assert found == [*[str(folder / spell("é.wav"))] * 2, str(tmp_path / "ñ.wav")]
    clips, read = Corpus(*paths).read()
    assert clips["path"].tolist() == found
    assert set(read["clip_id"]) == {"007", "ü"} <= set(clips["clip_id"])


def test_ids_that_yaml_takes_for_numbers_need_quotation_marks(write: Write) -> None:
    clips, annotations = write("clip_id,path\n007,a\n010,b\n1_0,c\n4,d\nZoë,e\n")
    corpus = {"name": "manifest", "clips": clips, "annotations": annotations}
    drawn = yaml.safe_load(f"[007, 010, 1_0, 4, '007', {unicodedata.normalize('NFD', 'Zoë')}]")
    with pytest.raises(EmotraceError) as refused:
        check_drawn_clips(load_config({"corpus": corpus, "figures": {"clips": drawn}}))
    lines = str(refused.value).splitlines()
    assert len(lines) == 5
    for line, number, clip_id in zip(lines[1:], (7, 8, 10), ("007", "010", "1_0"), strict=False):
        assert f"YAML takes {clip_id} for the number {number}" in line
        assert f'quotation marks, "{clip_id}"' in line
