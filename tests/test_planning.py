"""What cannot work is refused before a job starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emotrace.config.loading import load_config
from emotrace.config.planning import check_protocol
from emotrace.corpora.emomusic import LABEL_FILES
from emotrace.runtime.errors import EmotraceError

ARTISTS = ("Ada", "ada ", "Ａda", "Bo", "", "")
SPLITS = ("development", "evaluation", "development", "evaluation", "development", "")


def write_manifest(folder: Path, artists: tuple[str, ...], splits: tuple[str, ...]) -> Any:
    labels = enumerate(zip(artists, splits, strict=True))
    rows = [f"{number},{number}.wav,{artist},{split}" for number, (artist, split) in labels]
    clips = folder / "clips.csv"
    clips.write_text("\n".join(["clip_id,path,artist,split", *rows]), encoding="utf-8")
    (folder / "annotations.csv").touch()
    return {"name": "manifest", "clips": str(clips), "annotations": str(clips)}


def write_emomusic(folder: Path, artists: tuple[str, ...], splits: tuple[str, ...]) -> Any:
    (folder / "annotations").mkdir()
    (folder / "clips").mkdir()
    for file in LABEL_FILES.values():
        (folder / "annotations" / file).touch()
    rows = ["song_id,Artist,Song title,Genre,Mediaeval 2013 set"]
    for song, (artist, split) in enumerate(zip(artists, splits, strict=True)):
        (folder / f"clips/{song}.mp3").touch()
        rows.append(f"{song},{artist},title,Folk,{split or 'development'}")
    (folder / "annotations/songs_info.csv").write_text("\n".join(rows), encoding="utf-8")
    return {"name": "emomusic", "path": str(folder)}


@pytest.mark.parametrize("write", [write_manifest, write_emomusic])
@pytest.mark.parametrize(
    ("protocol", "artists", "splits", "refusal"),
    [
        ({"name": "official"}, ARTISTS, SPLITS, None),
        (
            {"name": "official"},
            ARTISTS,
            ("development",) * 6,
            r"protocol\.name: official needs .* but the corpus has 'development'",
        ),
        (
            {"name": "official"},
            ("Ada", "Bo", "ADA", "Bo", "ada", "Ada"),
            SPLITS[:5] + ("development",),
            r"protocol: the training clips are all by one artist",
        ),
        ({"name": "artist", "folds": 4}, ARTISTS, SPLITS, None),
        (
            {"name": "artist", "folds": 5},
            ARTISTS,
            SPLITS,
            r"protocol\.folds: 5 folds cannot be made of 4 artists",
        ),
        (
            {"name": "artist", "folds": 2},
            ("",) * 6,
            SPLITS,
            r"protocol\.name: artist .* none of the 6 clips has an artist",
        ),
        ({"name": "paper", "folds": 6}, ("",) * 6, SPLITS, None),
        (
            {"name": "paper", "folds": 7},
            ARTISTS,
            SPLITS,
            r"protocol\.folds: 7 folds cannot be made of 6 clips",
        ),
    ],
)
def test_a_protocol_that_cannot_work_is_refused_while_the_run_is_planned(
    tmp_path: Path,
    write: Any,
    protocol: dict[str, Any],
    artists: tuple[str, ...],
    splits: tuple[str, ...],
    refusal: str | None,
) -> None:
    corpus = write(tmp_path, artists, splits)
    settings = load_config({"corpus": corpus, "protocol": protocol})
    if refusal is None:
        check_protocol(settings)
    else:
        with pytest.raises(EmotraceError, match=rf"^{refusal}[\s\S]*\nhint: ."):
            check_protocol(settings)


def test_a_protocol_that_cannot_divide_the_demo_corpus_is_refused_before_it_is_made() -> None:
    corpus = {"name": "demo", "n_clips": 12}
    check_protocol(load_config({"corpus": corpus}))
    settings = load_config({"corpus": corpus, "protocol": {"name": "artist", "folds": 5}})
    with pytest.raises(EmotraceError, match=r"5 folds cannot be made of 4 artists"):
        check_protocol(settings)
