"""Read CSV files as tables of text, with errors that name the line and the column."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emotrace.runtime.errors import EmotraceError

MISSING = ("", "NA")
"""Cells that mean "unknown", besides NaN in any case."""

LARGEST = 1e9
"""Largest magnitude of required numbers, which are times in seconds."""


@dataclass(frozen=True)
class TextTable:
    """Cells of a CSV file as text, without surrounding blanks.

    Parameters
    ----------
    path : Path
        Path of the CSV file, for error messages.
    columns : dict of str to list of str
        Cells of each column, in the order of the file.
    lines : list of int
        For each row, the line of the file on which it ends, counted from 1.
    """

    path: Path
    columns: dict[str, list[str]]
    lines: list[int]

    def read_texts(self, column: str) -> list[str]:
        """Return the cells of a column; raise `EmotraceError` if there is no such column."""
        if column not in self.columns:
            names = {name.lower(): name for name in self.columns}
            near = [names[name] for name in difflib.get_close_matches(column, names, n=1)]
            raise EmotraceError(
                f"{self.path}: column '{column}' is missing; found: {', '.join(self.columns)}",
                hint=f"is '{near[0]}' meant? rename it to '{column}'" if near else "add the column",
            )
        return self.columns[column]

    def read_names(self, column: str) -> list[str]:
        """Return the cells of a column; raise `EmotraceError` if it is missing or a cell empty."""
        texts = self.read_texts(column)
        for line, text in zip(self.lines, texts, strict=True):
            if not text:
                raise EmotraceError(
                    f"{self.path}, line {line}, column '{column}': found nothing, expected a text",
                    hint="fill the cell or delete the row",
                )
        return texts

    def read_numbers(self, column: str, *, required: bool = False) -> list[float]:
        """Return the cells of a column as numbers.

        Parameters
        ----------
        column : str
            Name of the column.
        required : bool, default False
            Whether each cell must hold a number of a magnitude up to `LARGEST`. If False, empty
            cells, NA and NaN become NaN.

        Raises
        ------
        EmotraceError
            If the column is missing or a cell is not such a number.
        """
        numbers = []
        for line, text in zip(self.lines, self.read_texts(column), strict=True):
            try:
                number = math.nan if text in MISSING else float(text)
                if required and not abs(number) <= LARGEST:  # nor is nan
                    raise ValueError
            except ValueError:
                bounds = f" between -{LARGEST:g} and {LARGEST:g}" if required else ""
                raise EmotraceError(
                    f"{self.path}, line {line}, column '{column}': found '{text}', "
                    f"expected a number{bounds}",
                    hint="write numbers with a decimal point, such as -0.25",
                ) from None
            numbers.append(number)
        return numbers


def read_text_table(path: Path) -> TextTable:
    """Read a comma-separated file with a header, in UTF-8 with or without a byte order mark.

    Quoted cells, both kinds of line ends, and empty lines are supported.

    Parameters
    ----------
    path : Path
        Path of the CSV file.

    Returns
    -------
    TextTable
        Cells of the file.

    Raises
    ------
    EmotraceError
        If the file is missing, not UTF-8 or not comma-separated; if it has no header or a
        repeated column name; or if a row and the header differ in their number of cells.
    """
    path = Path(path)
    text = _read_utf8(path)
    _check_commas(path, text)
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise EmotraceError(
            f"{path}, line {reader.line_num}: is not valid CSV ({error})",
            hint="look for a quotation mark that is not closed",
        ) from error
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows:
        raise EmotraceError(f"{path}: is empty", hint="expected a header and one row per line")
    (_, header), *rows = rows
    _check_cells(path, header, rows)
    cells = zip(*(cells for _, cells in rows), strict=True) if rows else ([] for _ in header)
    columns = {name: list(column) for name, column in zip(header, cells, strict=True)}
    return TextTable(path, columns, [line for line, _ in rows])


def describe_ids(ids: Iterable[str]) -> str:
    """Return the number of ids and the first five of them, for a message."""
    ids = list(ids)
    return f"{len(ids)} ({', '.join(ids[:5])}{', …' if len(ids) > 5 else ''})"


def _read_utf8(path: Path) -> str:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except OSError as error:
        raise EmotraceError(
            f"{path}: cannot be read ({error.strerror})", hint="check the path in the config"
        ) from error
    except UnicodeDecodeError as error:
        raise EmotraceError(
            f"{path}: is not UTF-8 text (byte {error.start})",
            hint='save it again as "CSV UTF-8"',
        ) from error


def _check_commas(path: Path, text: str) -> None:
    header = text.lstrip().split("\n", 1)[0]
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if separator in header and "," not in header:
            raise EmotraceError(
                f"{path}: is separated by {name}, expected commas",
                hint="save it again as comma-separated CSV, with decimal points in numbers",
            )


def _check_cells(path: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> None:
    twice = {name for name in header if name and header.count(name) > 1}
    if twice:
        raise EmotraceError(
            f"{path}: column '{min(twice)}' is there more than once",
            hint="delete or rename one of them",
        )
    for line, cells in rows:
        if len(cells) != len(header):
            raise EmotraceError(
                f"{path}, line {line}: found {len(cells)} cells, expected {len(header)} as in the "
                "header",
                hint="put texts that hold a comma in quotation marks",
            )
