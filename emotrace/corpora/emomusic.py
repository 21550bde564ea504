"""emoMusic, "1000 Songs for Emotional Analysis of Music" (MediaEval 2013).

M. Soleymani, M. N. Caro, E. M. Schmidt, C.-Y. Sha, Y.-H. Yang, "1000 Songs for Emotional
Analysis of Music", CrowdMM 2013. 744 annotated clips of 45 s; arousal and valence at 2 Hz
from 15.0 s to 45.0 s; 619 clips for development, 125 for evaluation.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from emotrace.corpora.download import check_vacant, download_file, unpack_archive
from emotrace.corpora.text_table import TextTable, describe_ids, read_text_table
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.labels import SPLITS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

logger = logging.getLogger(__name__)

BASE_URL = "http://cvml.unige.ch/databases/emoMusic/"

ARCHIVES = {
    "clips_45sec.tar.gz": "3994a5d5fefc27f9540d1a69cd7f1294c68e6cb311ce49765021e2e9c7a1057b",
    "annotations.tar.gz": "e0cb0b06e1b0ce7f04b1572fc410937699b7fad9dae67ddaa745f06cda4b0b33",
}
"""Names of the published archives and their sha256."""

N_ANNOTATORS = 10
"""Listeners per clip, at least (section 3 of the paper above)."""

LABEL_FILES = {
    "arousal": "arousal_cont_average.csv",
    "arousal_std": "arousal_cont_std.csv",
    "valence": "valence_cont_average.csv",
    "valence_std": "valence_cont_std.csv",
}

INFO_COLUMNS = {
    "split": "Mediaeval 2013 set",
    "artist": "Artist",
    "title": "Song title",
    "genre": "Genre",
}


def download_emomusic(
    folder: Path, *, base_url: str = BASE_URL, archives: Mapping[str, str] = ARCHIVES
) -> None:
    """Download the published archives, going on where an earlier call stopped.

    Parameters
    ----------
    folder : Path
        Where the archives shall lie, under their published names.
    base_url : str
        Address of the folder that holds the archives.
    archives : mapping of str to str
        File name to sha256.

    Raises
    ------
    EmotraceError
        See `emotrace.corpora.download.download_file`.
    """
    for name, sha256 in archives.items():
        download_file(f"{base_url.rstrip('/')}/{name}", Path(folder, name), sha256=sha256)


def unpack_emomusic(folder: Path, target: Path) -> None:
    """Unpack the archives as a corpus that `read_emomusic` reads.

    Parameters
    ----------
    folder : Path
        Holds the archives as `download_emomusic` leaves them.
    target : Path
        Becomes a folder with ``clips_45sec/ID.mp3`` and ``annotations/*.csv``;
        absent, or empty.

    Raises
    ------
    EmotraceError
        If an archive cannot be unpacked or lacks the clips or the annotations; if
        the target already holds something.
    """
    target = Path(target)
    check_vacant(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
        corpus = Path(temporary, "corpus")
        corpus.mkdir()
        for pattern, name, archive in (
            ("*.mp3", "clips_45sec", "clips_45sec.tar.gz"),
            (LABEL_FILES["arousal"], "annotations", "annotations.tar.gz"),
        ):
            unpacked = Path(temporary, archive)
            unpack_archive(Path(folder, archive), unpacked)
            _find_folder(unpacked, pattern, archive=archive).rename(corpus / name)
        os.replace(corpus, target)


def list_audio(
    folder: Path, *, annotations: Path | None = None, offset_s: float = 0.0
) -> list[tuple[str, str, float]]:
    """List the audio of the clips that `read_emomusic` finds, without importing pandas.

    Parameters
    ----------
    folder, annotations, offset_s
        As for `read_emomusic`.

    Returns
    -------
    list of tuple
        ``clip_id``, ``path``, ``offset_s``.

    Raises
    ------
    EmotraceError
        If there is not exactly one ``clips*`` folder, or no MP3 file in it; if
        ``songs_info.csv`` is missing or malformed.
    """
    infos = _read_infos(_choose_annotations(folder, annotations), songs=set())
    files = [file for file in _list_clips(Path(folder)) if file.stem in infos]
    return [(file.stem, str(file), float(offset_s)) for file in files]


def list_labels(folder: Path, *, annotations: Path | None = None) -> list[tuple[str, str, str]]:
    """List ``clip_id``, ``artist`` and ``split`` of the clips that `list_audio` lists."""
    infos = _read_infos(_choose_annotations(folder, annotations), songs=set())
    songs = [clip_id for clip_id, _, _ in list_audio(folder, annotations=annotations)]
    return [(song, infos[song]["artist"], infos[song]["split"]) for song in songs]


def read_emomusic(
    folder: Path, *, annotations: Path | None = None, offset_s: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the clips of a folder and their annotations.

    The corpus is what the clips folder holds. Songs that are annotated but have
    no file there are left out of both tables, and so are files of songs that the
    dataset withdrew (it once had 1000), each with one warning.

    Parameters
    ----------
    folder : Path
        Holds one folder ``clips*`` with ``ID.mp3`` files.
    annotations : Path, optional
        Folder of the published annotation files; ``annotations`` in `folder` if
        not given.
    offset_s : float, default 0
        Seconds; where each file's first sample lies on the annotations' time line.
        0 for the published clips.

    Returns
    -------
    clips : pandas.DataFrame
        ``clip_id``, ``path``, ``offset_s``, ``split``, ``artist``, ``title``,
        ``genre``; one row per audio file, in the numerical order of the ids. Paths
        begin with `folder` as it was given.
    annotations : pandas.DataFrame
        ``clip_id``, ``time_s``, ``arousal``, ``arousal_std``, ``valence``,
        ``valence_std``; values as published, in [-1, 1], NaN where a cell is empty.

    Raises
    ------
    EmotraceError
        If a file is missing or malformed, or the files disagree about the songs.
    """
    import pandas as pd

    annotations_folder = _choose_annotations(folder, annotations)
    labels = _read_labels(annotations_folder)
    infos = _read_infos(annotations_folder, songs=set(labels["clip_id"]))
    files = _list_clips(Path(folder))
    if withdrawn := [file.stem for file in files if file.stem not in infos]:
        logger.warning(
            "%s: left out files of songs not in songs_info.csv: %s",
            files[0].parent,
            describe_ids(withdrawn),
        )
        files = [file for file in files if file.stem in infos]

    clips = pd.DataFrame({"clip_id": [file.stem for file in files], "path": map(str, files)})
    clips["offset_s"] = float(offset_s)
    for column in INFO_COLUMNS:
        clips[column] = [infos[song][column] for song in clips["clip_id"]]

    present = labels["clip_id"].isin(clips["clip_id"])
    if not present.all():
        absent = describe_ids(labels.loc[~present, "clip_id"].unique())
        logger.warning("%s: left out annotated songs without a file: %s", folder, absent)
    return clips, labels[present].reset_index(drop=True)


def _list_clips(folder: Path) -> list[Path]:
    clips_folders = [path for path in folder.glob("clips*") if path.is_dir()]
    if len(clips_folders) != 1:
        found = ", ".join(sorted(path.name for path in clips_folders)) or "none"
        raise EmotraceError(
            f"{folder}: expected one folder clips* with ID.mp3 files, found {found}",
            hint="set corpus.path in the config to the folder that holds it",
        )
    # Names that begin with a dot are the shadows that macOS leaves beside real files.
    files = [file for file in clips_folders[0].glob("*.mp3") if not file.name.startswith(".")]
    if not files:
        raise EmotraceError(
            f"{clips_folders[0]}: holds no ID.mp3 file", hint="download emoMusic again"
        )
    return sorted(files, key=lambda file: _order_song(file.stem))


def _choose_annotations(folder: Path, annotations: Path | None) -> Path:
    return Path(folder, "annotations") if annotations is None else Path(annotations)


def _order_song(song: str) -> tuple[int, str]:
    # Python refuses to read numbers of thousands of digits.
    return (int(song) if song.isdecimal() and len(song) < 10 else sys.maxsize, song)


def _find_folder(unpacked: Path, pattern: str, *, archive: str) -> Path:
    """Find the folder that holds most files of a pattern, however deep the archive has it."""
    files = [file for file in unpacked.rglob(pattern) if not file.name.startswith(".")]
    if not files:
        raise EmotraceError(
            f"{archive}: expected {pattern} in it, found none",
            hint="delete the archive and download it again",
        )
    return Counter(file.parent for file in files).most_common(1)[0][0]


def _read_labels(folder: Path) -> pd.DataFrame:
    """Read the four files of continuous labels as one long table, songs in numerical order."""
    import numpy as np
    import pandas as pd

    tables = {column: _read_song_table(folder / name) for column, name in LABEL_FILES.items()}
    first = tables["arousal"]
    times = _list_times(first)
    songs = sorted(first.columns["song_id"], key=_order_song)
    for table in tables.values():
        _check_same(table, "songs", set(table.columns["song_id"]), set(songs), first)
        _check_same(table, "columns", set(_list_times(table)), set(times), first)
    seconds = sorted(times.values())
    labels = {column: _read_matrix(table, songs).ravel() for column, table in tables.items()}
    return pd.DataFrame(
        {"clip_id": np.repeat(songs, len(times)), "time_s": np.tile(seconds, len(songs)), **labels}
    )


def _read_matrix(table: TextTable, songs: list[str]) -> np.ndarray:
    """Return a label file's values, (songs, frames), frames in the order of time."""
    import numpy as np

    times = _list_times(table)
    values = np.array([table.read_numbers(name) for name in sorted(times, key=times.__getitem__)])
    rows = {song: row for row, song in enumerate(table.columns["song_id"])}
    return values.T[[rows[song] for song in songs]]


def _list_times(table: TextTable) -> dict[str, float]:
    """Return the columns named ``sample_15000ms`` and the like, with their times in seconds."""
    matches = (re.fullmatch(r"sample_(\d{1,9})ms", name) for name in table.columns)
    times = {match[0]: int(match[1]) / 1000 for match in matches if match}
    if not times:
        raise EmotraceError(
            f"{table.path}: expected columns such as sample_15000ms, "
            f"found {', '.join(list(table.columns)[:5])}",
            hint="restore the file as emoMusic publishes it",
        )
    return times


def _read_infos(folder: Path, *, songs: set[str]) -> dict[str, dict[str, str]]:
    """Return split, artist, title and genre of each song; every one in `songs` is there."""
    table = _read_song_table(folder / "songs_info.csv")
    columns = {
        column: [" ".join(text.split()) for text in table.read_texts(name)]
        for column, name in INFO_COLUMNS.items()
    }
    for line, split in zip(table.lines, columns["split"], strict=True):
        if split not in SPLITS:
            raise EmotraceError(
                f"{table.path}, line {line}, column '{INFO_COLUMNS['split']}': found '{split}', "
                f"expected {' or '.join(SPLITS)}",
                hint="restore the file as emoMusic publishes it",
            )
    rows = zip(*columns.values(), strict=True)
    infos = {
        song: dict(zip(columns, row, strict=True))
        for song, row in zip(table.columns["song_id"], rows, strict=True)
    }
    if missing := songs - infos.keys():
        raise EmotraceError(
            f"{table.path}: has no row for annotated songs: "
            f"{describe_ids(sorted(missing, key=_order_song))}",
            hint="restore the file as emoMusic publishes it",
        )
    return infos


def _read_song_table(path: Path) -> TextTable:
    table = read_text_table(path)
    lines: dict[str, int] = {}
    for line, song in zip(table.lines, table.read_names("song_id"), strict=True):
        if song in lines:
            raise EmotraceError(
                f"{path}, line {line}: song {song} is there already, on line {lines[song]}",
                hint="delete one of the two rows",
            )
        lines[song] = line
    return table


def _check_same(
    table: TextTable, what: str, found: set[str], expected: set[str], first: TextTable
) -> None:
    if different := found ^ expected:
        raise EmotraceError(
            f"{table.path}: has not the same {what} as {first.path.name}; different are "
            f"{describe_ids(sorted(different, key=_order_song))}",
            hint="restore both files as emoMusic publishes them",
        )
