"""Tables as LaTeX to be included in a paper, and as a page to be read."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from emotrace.evaluation.tables import NOTHING, Table

LATEX_SYMBOLS = {"R2": "$R^2$", "tau": r"$\tau$", NOTHING: "--"}
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
}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 68rem; margin: 2rem auto;
       padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 0.5rem 0 2.5rem; font-variant-numeric: tabular-nums; }}
table {{ border-top: 2px solid #222; border-bottom: 2px solid #222; }}
thead tr:last-child th {{ border-bottom: 1px solid #222; }}
th, td {{ padding: 0.25rem 0.9rem; text-align: left; white-space: nowrap; }}
th[colspan] {{ text-align: center; color: #555; font-weight: 500; }}
tbody tr:hover {{ background: #f2f5f8; }}
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
    r"""Write tables as LaTeX that `\input` takes where ``booktabs`` is loaded.

    Parameters
    ----------
    tables : sequence of Table
    note : str
        Set in small print below each table.

    Returns
    -------
    str
    """
    head = "% Written by emotrace. Needs \\usepackage{booktabs}.\n"
    return head + "\n".join(_render_latex_table(table, note) for table in tables)


def _render_latex_table(table: Table, note: str) -> str:
    columns = "l" * len(table.header)
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{_escape_latex(table.caption)}}}",
        rf"\label{{tab:{table.label}}}",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        _join_latex(
            rf"\multicolumn{{{span}}}{{c}}{{{_escape_latex(name)}}}" if name else "&" * (span - 1)
            for name, span in table.groups
        ),
        *_rule_groups(table.groups),
        _join_latex(map(_escape_latex, table.header)),
        r"\midrule",
        *(_join_latex(map(_escape_latex, row)) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        rf"\par\smallskip\begin{{minipage}}{{\linewidth}}\scriptsize {_escape_latex(note)}"
        r"\end{minipage}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _rule_groups(groups: Sequence[tuple[str, int]]) -> list[str]:
    rules, first = [], 1
    for name, span in groups:
        if name:
            rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
        first += span
    return rules


def _join_latex(cells: Sequence[str] | map) -> str:
    return " & ".join(cells) + r" \\"


def _escape_latex(text: str) -> str:
    escaped = "".join(LATEX_ESCAPES.get(character, character) for character in text)
    return _replace_symbols(escaped, LATEX_SYMBOLS)


def render_html(tables: Sequence[Table], note: str, *, title: str) -> str:
    """Write tables as one page without scripts or outside resources.

    Parameters
    ----------
    tables : sequence of Table
    note : str
        Stands once, at the top.
    title : str

    Returns
    -------
    str
    """
    return PAGE.format(
        title=html.escape(title),
        note=_escape_html(note),
        tables="\n".join(_render_html_table(table) for table in tables),
    )


def _render_html_table(table: Table) -> str:
    groups = "".join(
        f'<th colspan="{span}">{_escape_html(name)}</th>' for name, span in table.groups
    )
    header = "".join(f"<th>{_escape_html(name)}</th>" for name in table.header)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{_escape_html(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    return (
        f'<h2 id="{table.label}">{_escape_html(table.caption)}</h2>\n'
        f'<div class="scroll"><table>\n<thead><tr>{groups}</tr>\n<tr>{header}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _escape_html(text: str) -> str:
    return _replace_symbols(html.escape(text), HTML_SYMBOLS)


def _replace_symbols(text: str, symbols: dict[str, str]) -> str:
    pattern = "|".join(rf"\b{name}\b" if name.isalnum() else re.escape(name) for name in symbols)
    return re.sub(pattern, lambda match: symbols[match[0]], text)
