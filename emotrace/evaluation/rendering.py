"""Render tables as LaTeX for a paper, and as an HTML page."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby

from emotrace.evaluation.table import Cell, Row, Score, Table

MINUS = "−"
NOTHING = "–"
"""Text of a cell whose value is nan."""

MOST_SCORED = 3
"""Number of columns of scores with intervals that fit on an ordinary page in footnote size."""

LATEX_SYMBOLS = {"R2": "$R^2$", "tau": r"$\tau$"}
LATEX_COLUMNS = {"text": "l", "figure": "r", "scored": r"r@{\hspace{2pt}}r"}
LATEX_HEADS = {"figure": r"\multicolumn{1}{c}{%s}", "scored": r"\multicolumn{2}{c}{%s}"}
LATEX_ROLES = {"chosen": r"\textbf{%s}", "published": r"\textit{%s}"}

HTML_SPANS = {"scored": ' colspan="2"'}
HTML_SYMBOLS = {"R2": "R<sup>2</sup>", "tau": "<i>τ</i>"}

LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "_": r"\_",
    "%": r"\%",
    "#": r"\#",
    "&": r"\&",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    MINUS: "$-$",
    "±": r"$\pm$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "§": r"\S{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    '"': "''",  # as in babel's languages, some of which use the other character as a command
    NOTHING: "--",
}

LIGATURE = re.compile("(?<=[-`',?!])(?=[-`',])")
"""Position between characters that LaTeX would join, such as two hyphens."""

LATEX_CHARACTERS = {chr(code) for code in range(0xA1, 0x17F)} - set("¤«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŲųŦŧ")
LATEX_CHARACTERS |= set("ȘșȚțẞ‐—‘’“”•…‰€™")
"""Characters that pdflatex supports both in its own encoding, OT1, and in T1."""

CYRILLIC = "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґў"
GREEK = "αβγδεζηθικλμνξοπρσςτυφχψω"
LATIN_OF_CYRILLIC = (
    "a b v g d e yo zh z i y k l m n o p r s t u f kh ts ch sh shch ' y ' e yu ya i yi ye g u"
)
LATIN_OF_GREEK = "a v g d e z i th i k l m n x o p r s s t y f ch ps o"
LATIN = dict(zip(CYRILLIC, LATIN_OF_CYRILLIC.split(), strict=True))
LATIN |= dict(zip(GREEK, LATIN_OF_GREEK.split(), strict=True))
LATIN |= dict(zip("ðđþħŋ", ("d", "d", "th", "h", "ng"), strict=True))
LATIN |= {letter.upper(): latin.capitalize() for letter, latin in LATIN.items() if letter != "ς"}
"""Letters of other scripts, as English texts transliterate them."""

LATEX_NEAREST = LATIN | {
    "«": r"$\ll$",
    "»": r"$\gg$",
    "‹": "$<$",
    "›": "$>$",
    "„": ",,",
    "‚": ",",
    "⁄": "/",
}
"""Replacements of characters that pdflatex supports only in some encodings, or not at all."""

LATEX_CHOICE = r"\providecommand{\emotracetext}[2]{\ifdefined\Umathchar#1\else#2\fi}"
"""Command with two arguments: a text as it is, and a form that pdflatex supports. It tests for a
primitive that only lualatex and xelatex have."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 68rem; margin: 2rem auto;
       padding: 0 1rem; }}
h2 {{ font-size: 1.1rem; max-width: 48rem; }}
table {{ border-collapse: collapse; margin: 0.5rem 0 2.5rem; font-variant-numeric: tabular-nums;
        border-top: 2px solid #222; border-bottom: 2px solid #222; }}
thead th {{ border-bottom: 1px solid #222; }}
th, td {{ padding: 0.25rem 0.9rem; text-align: left; white-space: nowrap; }}
th.figure, td.figure {{ text-align: right; }}
th.scored {{ text-align: center; }}
td.scored {{ padding-right: 0.2rem; }}
td.interval {{ padding-left: 0.2rem; font-size: 0.85em; color: #666; text-align: right; }}
tr.chosen td {{ background: #fff3cd; }}
tr.chosen td:first-child {{ font-weight: bold; }}
tr.baseline td {{ background: #f4f4f4; color: #444; }}
tr.published td {{ color: #666; font-style: italic; padding-top: 0; }}
tbody tr:hover td {{ background: #f2f5f8; }}
.scroll {{ overflow-x: auto; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{note}</p>
{tables}
</body>
</html>
"""


def render_latex(tables: Sequence[Table], note: str) -> str:
    r"""Render tables as LaTeX for use with `\input`; they need the package ``booktabs``.

    In pdflatex, unsupported characters are replaced by Latin letters without accents, or by U+
    and their number. lualatex and xelatex show all text unchanged.

    Parameters
    ----------
    tables : sequence of Table
        Tables to render.
    note : str
        Note in small print below each table.

    Returns
    -------
    str
        LaTeX code.
    """
    head = "% Written by emotrace. Needs \\usepackage{booktabs}.\n"
    body = "\n".join(_render_latex_table(table, note) for table in tables)
    if r"\emotracetext" in body:
        head += (
            "% lualatex and xelatex set the first of each \\emotracetext{}{}, with a font that has "
            f"it; pdflatex sets the second.\n{LATEX_CHOICE}\n"
        )
    return head + body


def _render_latex_table(table: Table, note: str) -> str:
    kinds = _find_kinds(table)
    specification = "".join(LATEX_COLUMNS[kind] for kind in kinds)
    header = [
        _escape_latex(name) if kind == "text" else LATEX_HEADS[kind] % _escape_latex(name)
        for name, kind in zip(table.header, kinds, strict=True)
    ]
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{_escape_latex(table.caption)}}}",
        rf"\label{{tab:{table.label}}}",
        r"\par\smallskip",
        r"\scriptsize" if kinds.count("scored") > MOST_SCORED else r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{@{{}}{specification}@{{}}}}",
        r"\toprule",
        _join_latex(header),
        r"\midrule",
        *_render_latex_rows(table, kinds),
        r"\bottomrule",
        r"\end{tabular}",
        rf"\par\smallskip\begin{{minipage}}{{\linewidth}}\scriptsize {_escape_latex(note)}"
        r"\end{minipage}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _render_latex_rows(table: Table, kinds: Sequence[str]) -> Iterator[str]:
    above = table.rows[0].role
    for row in table.rows:
        if (row.role == "baseline") != (above == "baseline"):
            yield r"\addlinespace"
        yield _render_latex_row(row, kinds)
        above = row.role


def _find_kinds(table: Table) -> list[str]:
    """Return for each column whether it holds text, numbers, or scores with intervals."""
    return [_find_kind(column) for column in zip(*(row.cells for row in table.rows), strict=True)]


def _find_kind(column: Sequence[Cell]) -> str:
    scores = [cell for cell in column if isinstance(cell, Score)]
    if any(score.interval or score.deviation is not None for score in scores):
        return "scored"
    return "text" if all(isinstance(cell, str) for cell in column) else "figure"


def _render_latex_row(row: Row, kinds: Sequence[str]) -> str:
    cells = []
    for cell, kind in zip(row.cells, kinds, strict=True):
        value, interval = map(_escape_latex, _write_cell(cell))
        if kind == "text" and value and row.role in LATEX_ROLES:
            value = LATEX_ROLES[row.role] % value
        cells.append(value)
        if kind == "scored":
            cells.append(rf"\scriptsize {interval}" if interval else "")
    return _join_latex(cells)


def _write_cell(cell: Cell) -> tuple[str, str]:
    """Return the number or text of a cell, and its interval or deviation."""
    if not isinstance(cell, Score):
        return str(cell), ""
    value = _write_number(cell.value, cell.digits)
    if cell.interval is not None:
        return value, f"[{', '.join(_write_number(end, cell.digits) for end in cell.interval)}]"
    if cell.deviation is not None and not math.isnan(cell.deviation):
        return value, f"± {_write_number(cell.deviation, cell.digits)}"
    return value, ""


def _write_number(value: float, n_digits: int) -> str:
    """Format a number with a few decimals and, as in the paper, no zero before the point."""
    if math.isnan(value):
        return NOTHING
    digits = f"{abs(value):.{n_digits}f}" if abs(value) < 100 else f"{abs(value):.0f}"
    sign = MINUS if value < 0 and float(digits) > 0 else ""
    return sign + digits.removeprefix("0")


def _join_latex(cells: Sequence[str] | map) -> str:
    row = " & ".join(cells) + r" \\"
    # LaTeX would read these characters as an option of the command that ends the row above.
    return "{}" + row if row.lstrip().startswith(("[", "*")) else row


def _escape_latex(text: str) -> str:
    characters = map(_simplify, unicodedata.normalize("NFC", text))
    escaped = ""
    for is_known, run in groupby("".join(characters), key=_is_known_to_latex):
        if is_known:
            parts = LIGATURE.split("".join(run))
            escaped += "{}".join("".join(LATEX_ESCAPES.get(c, c) for c in part) for part in parts)
        else:
            original = "".join(run)
            replaced = " ".join("".join(map(_replace_character, original)).split())
            escaped += rf"\emotracetext{{{original}}}{{{replaced}}}"
    return _replace_symbols(escaped, LATEX_SYMBOLS)


def _simplify(character: str) -> str:
    """Replace blanks and control characters by a space, and remove unprintable characters."""
    category = unicodedata.category(character)
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    return "" if category in ("Cf", "Cs") else character


def _is_known_to_latex(character: str) -> bool:
    return character.isascii() or character in LATEX_ESCAPES or character in LATEX_CHARACTERS


def _replace_character(character: str) -> str:
    """Replace a character that pdflatex does not support by others, or by its number."""
    if character in LATEX_NEAREST:
        return LATEX_NEAREST[character]
    decomposed = unicodedata.normalize("NFKD", character)
    parts = [part for part in decomposed if not unicodedata.category(part).startswith("M")]
    if all(_is_known_to_latex(part) or part in LATEX_NEAREST for part in parts):
        return "".join(LATEX_NEAREST.get(part, LATEX_ESCAPES.get(part, part)) for part in parts)
    return f" U+{ord(character):04X} "


def render_html(tables: Sequence[Table], note: str, *, title: str) -> str:
    """Render tables as one HTML page without scripts or external resources.

    Parameters
    ----------
    tables : sequence of Table
        Tables to render.
    note : str
        Note at the top of the page.
    title : str
        Title of the page.

    Returns
    -------
    str
        HTML code.
    """
    return PAGE.format(
        title=html.escape(title),
        note=_escape_html(note),
        tables="\n".join(_render_html_table(table) for table in tables),
    )


def _render_html_table(table: Table) -> str:
    kinds = _find_kinds(table)
    header = "".join(
        f'<th class="{kind}"{HTML_SPANS.get(kind, "")}>{_escape_html(name)}</th>'
        for name, kind in zip(table.header, kinds, strict=True)
    )
    rows = "\n".join(_render_html_row(row, kinds) for row in table.rows)
    return (
        f'<h2 id="{table.label}">{_escape_html(table.caption)}</h2>\n'
        f'<div class="scroll"><table>\n<thead><tr>{header}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _render_html_row(row: Row, kinds: Sequence[str]) -> str:
    cells = ""
    for cell, kind in zip(row.cells, kinds, strict=True):
        value, interval = map(_escape_html, _write_cell(cell))
        classes = "figure scored" if kind == "scored" else kind
        cells += f'<td class="{classes}">{value}</td>'
        cells += f'<td class="interval">{interval}</td>' if kind == "scored" else ""
    return f'<tr class="{row.role}">{cells}</tr>'


def _escape_html(text: str) -> str:
    return _replace_symbols(html.escape(text), HTML_SYMBOLS)


def _replace_symbols(text: str, symbols: dict[str, str]) -> str:
    pattern = "|".join(rf"\b{name}\b" if name.isalnum() else re.escape(name) for name in symbols)
    return re.sub(pattern, lambda match: symbols[match[0]], text)
