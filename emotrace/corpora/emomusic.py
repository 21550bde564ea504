"""emoMusic, "1000 Songs for Emotional Analysis of Music" (MediaEval 2013).

744 annotated clips of 45 s; arousal and valence at 2 Hz from 15.0 s to 45.0 s; 619 clips for
development, 125 for evaluation.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from emotrace.corpora.corpus import BaseCorpus, find_source
from emotrace.corpora.download import check_vacant, download_file, unpack_archive
from emotrace.corpora.text_table import TextTable, describe_ids, read_text_table
from emotrace.runtime.errors import EmotraceError, hide_passwords
from emotrace.splits.labels import SPLITS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

logger = logging.getLogger(__name__)

FOLDER = "resources/emomusic/dataset"
"""Folder into which the workflow downloads the corpus."""

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


@dataclass(frozen=True)
class Corpus(BaseCorpus):
    """The clips of a folder and their annotations, as published.

    The corpus consists of the clips that the clips folder holds. Annotated songs without a file
    are left out, and so are files of songs that were withdrawn from the dataset (it once had
    1000).

    Parameters
    ----------
    path : str, optional
        Folder that holds one folder ``clips*`` with ``ID.mp3`` files. If not given, the workflow
        downloads the corpus, and the next two settings have no effect.
    annotations : str, optional
        Folder of the published annotation files; ``annotations`` in `path` if not given.
    offset_s : float, default 0
        Position of each file's first sample on the time line of the annotations, in seconds.
        0 for the published clips.
    url : str
        Address of the folder that holds the archives.
    """

    path: str | None = None
    annotations: str | None = None
    offset_s: float = 0.0
    url: str = "http://cvml.unige.ch/databases/emoMusic/"

    name = "emomusic"
    licence = "annotations for research; songs under Creative Commons licences of several kinds"
    citation = (
        "M. Soleymani, M. N. Caro, E. M. Schmidt, C.-Y. Sha, Y.-H. Yang, "
        '"1000 Songs for Emotional Analysis of Music", CrowdMM 2013'
    )
    # Minimum number, according to section 3 of the paper.
    annotators = 10
    offset_setting = "corpus.offset_s"
    # Names and SHA-256 checksums of the published archives.
    archives: ClassVar[Mapping[str, str]] = {
        "clips_45sec.tar.gz": "3994a5d5fefc27f9540d1a69cd7f1294c68e6cb311ce49765021e2e9c7a1057b",
        "annotations.tar.gz": "e0cb0b06e1b0ce7f04b1572fc410937699b7fad9dae67ddaa745f06cda4b0b33",
    }

    @property
    def digests(self) -> tuple[str, ...]:
        """Path of the digest of the folder that the workflow downloads."""
        return (f"{FOLDER}.digest",) if self.path is None else ()

    @property
    def table_settings(self) -> dict[str, Any]:
        """All settings except the address, which may hold a password."""
        settings = super().table_settings
        del settings["url"]
        return settings

    @property
    def server(self) -> str:
        """The address without its password, if it has one."""
        return hide_passwords(self.url)

    def list_sources(self) -> list[str]:
        """List the annotation files; see `BaseCorpus.list_sources`."""
        if self.path is None:
            return [FOLDER]
        names = [*LABEL_FILES.values(), "songs_info.csv"]
        folder = self._find_annotations()
        return [str(find_source(str(folder / name), "corpus.path")) for name in names]

    def list_audio(self) -> list[tuple[str, str, float]]:
        """List ``clip_id``, ``path`` and ``offset_s`` of each clip, in numerical order of the ids.

        Raises
        ------
        EmotraceError
            If there is not exactly one ``clips*`` folder, or no MP3 file in it; if
            ``songs_info.csv`` is missing or malformed.
        """
        infos = _read_infos(self._find_annotations(), songs=set())
        files = [file for file in _list_clips(self._folder) if file.stem in infos]
        return [(file.stem, str(file), self._offset_s) for file in files]

    def list_labels(self) -> list[tuple[str, str, str]] | None:
        """List ``clip_id``, ``artist`` and ``split`` of each clip; None before the download."""
        if self.path is None:
            return None
        infos = _read_infos(self._find_annotations(), songs=set())
        songs = [clip_id for clip_id, _, _ in self.list_audio()]
        return [(song, infos[song]["artist"], infos[song]["split"]) for song in songs]

    def read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Read clips and annotations; see `BaseCorpus.read`.

        One warning names the songs that are left out, and one names the files. Annotations keep
        their published values, with NaN for empty cells.

        Raises
        ------
        EmotraceError
            If a file is missing or malformed, or the files disagree about the songs.
        """
        import pandas as pd

        annotations_folder = self._find_annotations()
        labels = _read_labels(annotations_folder)
        infos = _read_infos(annotations_folder, songs=set(labels["clip_id"]))
        files = _list_clips(self._folder)
        if withdrawn := [file.stem for file in files if file.stem not in infos]:
            logger.warning(
                "%s: left out files of songs not in songs_info.csv: %s",
                files[0].parent,
                describe_ids(withdrawn),
            )
            files = [file for file in files if file.stem in infos]

        clips = pd.DataFrame({"clip_id": [file.stem for file in files], "path": map(str, files)})
        clips["offset_s"] = self._offset_s
        for column in INFO_COLUMNS:
            clips[column] = [infos[song][column] for song in clips["clip_id"]]

        present = labels["clip_id"].isin(clips["clip_id"])
        if not present.all():
            absent = describe_ids(labels.loc[~present, "clip_id"].unique())
            logger.warning("%s: left out annotated songs without a file: %s", self._folder, absent)
        return clips, labels[present].reset_index(drop=True)

    def download(self, folder: Path) -> None:
        """Download the published archives, or resume an earlier download.

        Parameters
        ----------
        folder : Path
            Folder in which the archives are stored, under their published names.

        Raises
        ------
        EmotraceError
            See `emotrace.corpora.download.download_file`.
        """
        for name, sha256 in self.archives.items():
            download_file(f"{self.url.rstrip('/')}/{name}", Path(folder, name), sha256=sha256)

    @property
    def _folder(self) -> Path:
        return Path(FOLDER if self.path is None else self.path).expanduser()

    @property
    def _offset_s(self) -> float:
        return 0.0 if self.path is None else float(self.offset_s)

    def _find_annotations(self) -> Path:
        if self.path is None:
            return self._folder / "annotations"
        if self.annotations is not None:
            return find_source(self.annotations, "corpus.annotations", is_folder=True)
        folder = find_source(self.path, "corpus.path", is_folder=True)
        return find_source(str(folder / "annotations"), "corpus.annotations", is_folder=True)


def unpack_archives(folder: Path, target: Path) -> None:
    """Unpack the archives into a folder that can be used as the ``path`` of a `Corpus`.

    Parameters
    ----------
    folder : Path
        Folder that holds the archives, as stored by `Corpus.download`.
    target : Path
        Folder to create, with ``clips_45sec/ID.mp3`` and ``annotations/*.csv``; it must be
        absent or empty.

    Raises
    ------
    EmotraceError
        If an archive cannot be unpacked or lacks the clips or the annotations, or if the
        target is not empty.
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


def _list_clips(folder: Path) -> list[Path]:
    clips_folders = [path for path in folder.glob("clips*") if path.is_dir()]
    if len(clips_folders) != 1:
        found = ", ".join(sorted(path.name for path in clips_folders)) or "none"
        raise EmotraceError(
            f"{folder}: expected one folder clips* with ID.mp3 files, found {found}",
            hint="set corpus.path in the config to the folder that holds it",
        )
    # Names that begin with a dot belong to metadata files that macOS adds beside real files.
    files = [file for file in clips_folders[0].glob("*.mp3") if not file.name.startswith(".")]
    if not files:
        raise EmotraceError(
            f"{clips_folders[0]}: holds no ID.mp3 file", hint="download emoMusic again"
        )
    return sorted(files, key=lambda file: _order_song(file.stem))


def _order_song(song: str) -> tuple[int, str]:
    # Python refuses to convert strings of thousands of digits.
    return (int(song) if song.isdecimal() and len(song) < 10 else sys.maxsize, song)


def _find_folder(unpacked: Path, pattern: str, *, archive: str) -> Path:
    """Find the folder with the most files that match a pattern, at any depth of the archive."""
    files = [file for file in unpacked.rglob(pattern) if not file.name.startswith(".")]
    if not files:
        raise EmotraceError(
            f"{archive}: expected {pattern} in it, found none",
            hint="delete the archive and download it again",
        )
    return Counter(file.parent for file in files).most_common(1)[0][0]


def _read_labels(folder: Path) -> pd.DataFrame:
    """Read the four files of continuous labels as one long table, in numerical order of songs."""
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
    """Return the values of a label file, shape (songs, frames), with frames in order of time."""
    import numpy as np

    times = _list_times(table)
    values = np.array([table.read_numbers(name) for name in sorted(times, key=times.__getitem__)])
    rows = {song: row for row, song in enumerate(table.columns["song_id"])}
    return values.T[[rows[song] for song in songs]]


def _list_times(table: TextTable) -> dict[str, float]:
    """Return the columns named like ``sample_15000ms``, with their times in seconds."""
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
    """Return split, artist, title and genre of each song, with no song of `songs` missing."""
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
