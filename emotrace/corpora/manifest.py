"""A user's own corpus, described by two CSV files."""

from __future__ import annotations

import logging
import math
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotrace.corpora.corpus import BaseCorpus, find_source
from emotrace.corpora.text_table import TextTable, describe_ids, read_text_table
from emotrace.runtime.errors import EmotraceError
from emotrace.splits.labels import check_split_labels

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus(BaseCorpus):
    """A corpus that you describe in two CSV files.

    Columns other than those listed here are ignored. Clip ids are read as text, so "007" keeps
    its zeros. They are compared in Unicode's composed form (NFC), and files are found in whichever
    form their names are stored.

    Parameters
    ----------
    clips : str
        Path of a CSV file with the columns ``clip_id`` and ``path`` (absolute, relative to the
        folder of this file, or beginning with ``~``). Optional columns are ``offset_s`` (seconds;
        position of the first audio sample on the time line of the annotations; default 0) and
        ``split``, ``artist``, ``title``, ``genre`` (default empty). A split is one of
        `emotrace.splits.labels.SPLITS` or empty.
    annotations : str
        Path of a CSV file with the columns ``clip_id``, ``time_s`` (seconds), ``arousal`` and
        ``valence``. Optional columns are ``arousal_std`` and ``valence_std`` (default NaN). The
        file is not needed to list the audio.
    annotation_scale : tuple of float, default (-1, 1)
        Lowest and highest value of the annotations' scale, such as (1, 9) for a nine-point scale.
        It is mapped linearly to [-1, 1]. Values beyond the scale are not clipped.
    annotators : int, optional
        Number of people who annotated each clip, if known.
    """

    clips: str
    annotations: str = ""
    annotation_scale: tuple[float, float] = (-1.0, 1.0)
    annotators: int | None = None

    name = "manifest"
    offset_setting = "the column offset_s of corpus.clips"

    @property
    def table_settings(self) -> dict[str, Any]:
        """All settings except the number of annotators."""
        return {
            **self.audio_settings,
            "annotations": self.annotations,
            "annotation_scale": self.annotation_scale,
        }

    @property
    def audio_settings(self) -> dict[str, Any]:
        """Path of the clips CSV."""
        return {"name": self.name, "clips": self.clips}

    def list_sources(self) -> list[str]:
        """List the two CSV files; see `BaseCorpus.list_sources`."""
        return [
            str(find_source(self.clips, "corpus.clips")),
            str(find_source(self.annotations, "corpus.annotations")),
        ]

    def list_audio(self) -> list[tuple[str, str, float]]:
        """List ``clip_id``, ``path`` and ``offset_s`` of each clip, in the file's order.

        Raises
        ------
        EmotraceError
            If the clips CSV cannot be read or lacks a column, if a cell is empty or not a
            number, or if a split is unknown.
        """
        clips = self._read_clips()
        return list(zip(clips["clip_id"], clips["path"], clips["offset_s"], strict=True))

    def list_labels(self) -> list[tuple[str, str, str]]:
        """List ``clip_id``, ``artist`` and ``split`` of each clip, in the file's order."""
        clips = self._read_clips()
        return list(zip(clips["clip_id"], clips["artist"], clips["split"], strict=True))

    def read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Read both files; see `BaseCorpus.read`.

        Annotations of clips that the clips CSV does not list are left out, with one warning.

        Raises
        ------
        EmotraceError
            If a file cannot be read, a column is missing, a cell is not a number, a split is
            unknown, or a path begins with the home folder of a user who does not exist on this
            machine.
        """
        import pandas as pd

        low, high = self.annotation_scale
        if not low < high:
            raise EmotraceError(
                f"annotation_scale: found ({low}, {high}), expected the lower value first",
                hint="write for instance [1, 9]",
            )
        middle, half = (low + high) / 2, (high - low) / 2
        clips = pd.DataFrame(self._read_clips())
        table = read_text_table(Path(self.annotations).expanduser())
        annotations = pd.DataFrame(_read_annotations(table, middle=middle, half=half))

        known = annotations["clip_id"].isin(clips["clip_id"])
        if not known.all():
            ids = describe_ids(annotations.loc[~known, "clip_id"].unique())
            logger.warning(
                "%s: left out annotations of clips not in %s: %s", table.path, self.clips, ids
            )
        return clips, annotations[known].reset_index(drop=True)

    def _read_clips(self) -> dict[str, list]:
        return _read_clips(read_text_table(Path(self.clips).expanduser()))


def _read_clips(table: TextTable) -> dict[str, list]:
    check_split_labels(table)
    nothing = [""] * len(table.lines)
    return {
        "clip_id": _read_ids(table),
        "path": _read_paths(table),
        "offset_s": table.read_numbers("offset_s", required=True)
        if "offset_s" in table.columns
        else [0.0] * len(table.lines),
    } | {name: table.columns.get(name, nothing) for name in ("split", "artist", "title", "genre")}


def _read_ids(table: TextTable) -> list[str]:
    return [unicodedata.normalize("NFC", clip_id) for clip_id in table.read_names("clip_id")]


def _read_paths(table: TextTable) -> list[str]:
    return [
        find_spelling(str(table.path.parent / _expand_home(table, line, text)))
        for line, text in zip(table.lines, table.read_names("path"), strict=True)
    ]


def _expand_home(table: TextTable, line: int, text: str) -> Path:
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        if os.path.lexists(table.path.parent / path):
            return path
        raise EmotraceError(
            f"{table.path}, line {line}, column 'path': found '{text}', but this machine knows no "
            f"home folder {path.parts[0]}",
            hint="write the path without ~",
        ) from None


def find_spelling(path: str) -> str:
    """Return a path in the spelling of the disk: an accented letter is one or two code points.

    Programs and file systems use different Unicode forms (NFC and NFD), so a name in a table
    and the name of its file may look the same and yet differ.

    Parameters
    ----------
    path : str
        Path in any Unicode form.

    Returns
    -------
    str
        Path of the existing file; `path` itself if it does not exist in any spelling.
    """
    if path.isascii() or os.path.lexists(path):
        return path
    folder, name = os.path.split(path)
    folder = find_spelling(folder)
    spellings = (os.path.join(folder, unicodedata.normalize(form, name)) for form in ("NFC", "NFD"))
    return next(filter(os.path.lexists, spellings), path)


def _read_annotations(table: TextTable, *, middle: float, half: float) -> dict[str, list]:
    columns: dict[str, list] = {
        "clip_id": _read_ids(table),
        "time_s": table.read_numbers("time_s", required=True),
    }
    for target in ("arousal", "valence"):
        columns[target] = [(value - middle) / half for value in table.read_numbers(target)]
        std = f"{target}_std"
        unknown = [math.nan] * len(table.lines)
        deviations = table.read_numbers(std) if std in table.columns else unknown
        columns[std] = [deviation / half for deviation in deviations]
    return columns
