"""Tables say what was measured, beside what was published, and can be printed."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emotrace import TARGETS
from emotrace.evaluation.diagnosis import build_group_table
from emotrace.evaluation.published import RESULTS, find_published, mark_published
from emotrace.evaluation.rendering import render_html, render_latex
from emotrace.evaluation.selection import (
    build_best_table,
    build_feature_table,
    build_selection_table,
)
from emotrace.evaluation.table import Circumstances, Evaluation, Row, Score, Table
from emotrace.evaluation.tables import build_tables, tabulate_scores, write_note

DEMO = Circumstances(
    corpus="demo",
    n_corpus_clips=47,
    n_excluded=1,
    n_not_computed={"chroma": 0, "compare": 2},
    offset_s=0.0,
    windows_s={"compare": 0.5, "chroma": 0.5},
    hop_s=0.5,
    feature_set="compare",
    baseline="LSTM_400",
    n_samples=2000,
    remarks=(),
)
EMOMUSIC = replace(DEMO, corpus="emomusic", n_corpus_clips=744, n_excluded=0, offset_s=30.0)

PUBLISHED_GRID = [
    *(f"LSTM_{sizes}" for sizes in ("128", "300", "400", "512", "700", "1024", "2048")),
    *(f"LSTM_{sizes}" for sizes in ("700_128", "700_400", "2048_1024", "2048_1024_700")),
    *(f"AT_{units}" for units in (32, 64, 128, 300, 400, 512, 700, 1024, 2048)),
    *(f"AT_{sizes}" for sizes in ("300_128", "400_128", "1024_400", "2048_1024")),
    "AT_2048_1024_512",
    *(f"BAT_{sizes}" for sizes in ("400", "1024", "2048", "300_128", "400_128", "1024_400")),
    *(f"BAT_{sizes}" for sizes in ("1024_512", "2048_1024", "2048_1024_512")),
    *(f"Transformer_{layers}" for layers in (1, 2, 4)),
]
RUNS = [
    ("compare", "LSTM_400"),
    ("compare", "AT_300"),
    ("compare", "AT_65"),
    ("chroma", "AT_64"),
    ("chroma", "AT_32"),
]


BASELINES = ["Mean", "SVR", "OracleMean", "Annotators"]
DIAGNOSIS = {"within_r": 0.1, "spread": 0.7, "slope": 1.1, "bias": -0.02}


def make_evaluation(runs: list[tuple[str, str]], **constants: object) -> Evaluation:
    """Make up scores; validation rises where the tested R2 falls, and the chosen model is tied."""
    metrics = make_metrics(runs).assign(**constants)
    compared = []
    for (target, feature_set), group in metrics.groupby(["target", "feature_set"], sort=False):
        *others, chosen = group.loc[group["kind"] == "model", "model"]
        for question, names in (("choice", [*others, "SVR"]), ("attention", others)):
            for name in names:
                row = {"question": question, "target": target, "feature_set": feature_set}
                row |= {"model": chosen, "other": name, "p": 0.01, "p_adjusted": 0.02}
                for metric in ("r2_difference", "tau_difference"):
                    row |= {metric: 0.04, f"{metric}_low": 0.01, f"{metric}_high": 0.07}
                compared.append(row)
    comparisons = pd.DataFrame(compared)
    groups = metrics[metrics["kind"] == "model"].groupby(["target", "feature_set"]).tail(1)
    groups = pd.concat(
        groups.assign(division=division, group=group, n_clips=n_clips)
        for division, group, n_clips in (
            ("genre", "Jazz", 12),
            ("genre", "Rock", 9),
            ("artist", "heard", 70),
        )
    )
    return Evaluation(metrics, comparisons, groups)


def make_metrics(runs: list[tuple[str, str]]) -> pd.DataFrame:
    random = np.random.default_rng(5)
    rows = []
    baselines = [(name, model) for name in dict(runs) for model in BASELINES]
    for target in TARGETS:
        for number, (feature_set, model) in enumerate([*runs, *baselines]):
            is_model = number < len(runs)
            scores = {"r2": 0.70 - 0.01 * number, "tau": 0.08 - 0.004 * number, "mae": 0.138}
            scores |= DIAGNOSIS
            row = {
                "experiment": "made_up",
                "target": target,
                "feature_set": feature_set,
                "n_features": {"compare": 6373}.get(feature_set, 24),
                "model": model,
                "kind": "model" if is_model else "baseline",
                "protocol": "official",
                "truth_variance": 0.08,
                "n_clips": 125,
                "n_frames": 2500,
                "n_seeds": 3,
                "constant_clips": 0,
                "r2_one_seed": 0.55,
                "r2_seed_std": 0.012,
                "validation_r2": 0.40 + 0.01 * number if is_model else np.nan,
            }
            for metric, value in scores.items():
                low, high = value - random.uniform(0.08, 0.12, 2) * (1, -1)
                row |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def find_rows(table: Table, role: str) -> list[list[object]]:
    return [row.cells for row in table.rows if row.role == role]


def list_values(cells: list[object]) -> list[float]:
    return [cell.value for cell in cells if isinstance(cell, Score)]


def test_a_validation_set_without_r2_shows_a_dash_and_chooses_by_the_lowest_error() -> None:
    metrics = make_metrics(RUNS).assign(validation_r2=np.nan)
    models = metrics["kind"] == "model"
    is_lowest = models & (metrics["model"] == "AT_300") & (metrics["feature_set"] == "compare")
    metrics["validation_loss"] = np.where(models, np.where(is_lowest, 0.03, 0.05), np.nan)
    table, *_ = build_tables(replace(make_evaluation(RUNS), metrics=metrics), DEMO)
    ((name, *_, last),) = find_rows(table, "chosen")
    assert name.startswith("AT_300") and np.isnan(last.value)
    assert "lowest error on the validation set, whose labels never vary" in table.caption
    printed = render_latex([table], "")
    assert r"$\pm$ .01 & -- \\" in printed and "nan" not in printed


def test_chosen_is_the_model_of_the_highest_validation_r2_not_of_the_highest_r2() -> None:
    found = make_evaluation(RUNS)
    for target in TARGETS:
        table = build_selection_table(found, target, DEMO)
        assert [cells[0] for cells in find_rows(table, "ours")] == ["LSTM_400 (baseline)", "AT_300"]
        assert [cells[0] for cells in find_rows(table, "chosen")] == ["AT_65 (best)"]
        features = build_feature_table(found, target, DEMO)
        assert [(cells[0], cells[2]) for cells in find_rows(features, "ours")] == [
            ("compare", "AT_65"),
            ("chroma", "AT_32"),
        ]
    best = build_best_table(found, DEMO)
    assert [row.cells[1:3] for row in best.rows[:3]] == [
        ["baseline LSTM", "400"],
        ["LSTM, one layer", "400"],
        ["AT, one layer", "65"],
    ]


@pytest.mark.parametrize(
    ("other", "p", "difference", "expected"),
    [
        ("AT_300", 0.02, 0.04, {"AT_65 (best)", "AT_300", "SVR"}),
        ("AT_300", 0.05, 0.04, {"AT_65", "AT_300 (tie)", "SVR"}),
        ("AT_300", 0.05, -0.04, {"AT_65", "AT_300 (tie)", "SVR"}),
        ("AT_300", 0.02, -0.04, {"AT_65", "AT_300 (better)", "SVR"}),
        ("SVR", 0.30, 0.01, {"AT_65", "AT_300", "SVR (tie)"}),
        ("AT_300", np.nan, 0.04, {"AT_65 (best)", "AT_300", "SVR"}),
    ],
)
def test_best_is_marked_only_without_ties(
    other: str, p: float, difference: float, expected: set[str]
) -> None:
    found = make_evaluation(RUNS)
    rows = found.comparisons["other"] == other
    found.comparisons.loc[rows, ["p_adjusted", "r2_difference"]] = p, difference
    table = build_selection_table(found, "arousal", DEMO)
    names = {row.cells[0] for row in table.rows}
    assert expected <= names
    assert {name for name in names if re.search("best|tie|better", name)} <= expected


def test_every_table_of_scores_holds_the_baselines() -> None:
    names = ["Mean label", "SVR", "Clip mean (oracle)", "Annotators (ceiling)"]
    found = make_evaluation(RUNS)
    selection = build_selection_table(found, "valence", DEMO)
    assert [cells[0] for cells in find_rows(selection, "baseline")] == names
    best = build_best_table(found, DEMO)
    assert [cells[1] for cells in find_rows(best, "baseline")] == 2 * names
    features = build_feature_table(found, "valence", DEMO)
    assert [cells[2] for cells in find_rows(features, "baseline")] == [
        *("SVR", "SVR"),  # of each set
        *("Mean label", "Clip mean (oracle)", "Annotators (ceiling)"),
    ]


@pytest.mark.parametrize(
    ("model", "protocol", "are_excerpts", "variance", "marks"),
    [
        ("AT_300", "paper", False, 0.088, ""),
        ("AT_300", "official", False, 0.088, "†"),
        ("AT_300", "paper", True, 0.088, "‡"),
        ("Transformer_2", "paper", False, 0.088, "§"),  # MAE .27 allows R2 of .20
        ("Transformer_2", "artist", True, 0.088, "†‡§"),
        ("Transformer_2", "paper", False, 0.30, ""),
    ],
)
def test_published_figures_that_cannot_be_compared_are_marked(
    model: str, protocol: str, are_excerpts: bool, variance: float, marks: str
) -> None:
    published = find_published("arousal", "compare", model)
    assert mark_published(published, protocol, are_excerpts, variance) == marks


def test_small_groups_of_songs_have_no_r2() -> None:
    table = build_group_table(make_evaluation(RUNS), DEMO)
    shown = [(row.cells[2], row.cells[3], np.isnan(row.cells[4].value)) for row in table.rows]
    assert shown == 2 * [("Jazz", 12, False), ("Rock", 9, True), ("artist heard", 70, False)]


@pytest.mark.parametrize("target", TARGETS)
def test_published_figures_stand_below_exactly_their_configuration(target: str) -> None:
    runs = [("compare", model) for model in PUBLISHED_GRID] + [("chroma", "AT_64")]
    table = build_selection_table(make_evaluation(runs), target, EMOMUSIC)
    found = {}
    for above, row in zip(table.rows, table.rows[1:], strict=False):
        if row.cells[0].startswith("published"):
            found[above.cells[0].partition(" (")[0]] = list_values(row.cells)
    assert found == {
        result.model: [result.r2, result.tau, result.mae]
        for result in RESULTS
        if result.target == target and result.feature_set == "compare"
    }


def test_published_best_figures_are_those_of_the_paper() -> None:
    runs = [("compare", model) for model in PUBLISHED_GRID] + [("chroma", "AT_64")]
    best = build_best_table(make_evaluation(runs), EMOMUSIC)
    published = [(cells[2], *list_values(cells)) for cells in find_rows(best, "published")]
    assert published == [
        ("400", 0.60, 0.14, 0.11),
        ("1024", 0.73, 0.12, 0.12),
        ("700_128", 0.69, 0.20, 0.12),
        ("300", 0.75, 0.15, 0.13),
        ("2048_1024", 0.78, 0.24, 0.11),
        ("1024", 0.55, 0.04, 0.12),
        ("2048_1024", 0.58, 0.06, 0.12),
        ("2", 0.64, 0.61, 0.27),
        ("400", 0.29, 0.08, 0.16),
        ("700", 0.39, 0.10, 0.15),
        ("2048_1024", 0.29, 0.17, 0.15),
        ("400", 0.53, 0.08, 0.16),
        ("300_128", 0.51, 0.04, 0.16),
        ("2048", 0.16, 0.13, 0.15),
        ("400_128", 0.21, 0.16, 0.14),
        ("1", 0.12, 0.11, 0.10),
    ]
    features = build_feature_table(make_evaluation(runs), "arousal", EMOMUSIC)
    chroma = find_rows(features, "published")[-1]
    assert (chroma[2], list_values(chroma)) == ("AT_64", [0.15, 0.04, 0.19])


def test_other_corpora_show_nothing_published() -> None:
    found = make_evaluation(RUNS)
    for table in build_tables(found, DEMO):
        assert not find_rows(table, "published")
    assert tabulate_scores(found.metrics, DEMO)["published_r2"].isna().all()
    assert "ublished" not in write_note(found, DEMO)
    tidy = tabulate_scores(found.metrics, EMOMUSIC).set_index(["target", "feature_set", "model"])
    assert tidy["published_r2"].dropna().to_dict() == {
        ("arousal", "compare", "LSTM_400"): 0.60,
        ("arousal", "compare", "AT_300"): 0.75,
        ("arousal", "chroma", "AT_64"): 0.15,
        ("valence", "compare", "LSTM_400"): 0.29,
        ("valence", "chroma", "AT_64"): 0.01,
    }


@pytest.mark.parametrize(
    ("about", "constants", "sayings"),
    [
        (
            DEMO,
            {},
            [
                "Corpus demo: 47 clips, 1 left out",
                "compare could not be computed of 2 of the clips",
                "frames of 0.5 s every 0.5 s",
                "125 clips",
                "trained with 3 seeds",
            ],
        ),
        (EMOMUSIC, {}, ["Corpus emomusic: 744 clips", "from second 30 on", "ISMIR 2020"]),
        (DEMO, {"protocol": "artist"}, ["Protocol artist", "no artist on both sides"]),
        (DEMO, {"protocol": "paper", "n_seeds": 1}, ["Protocol paper", "optimistic", "one seed"]),
        (replace(DEMO, remarks=("Clips left out: 3 of 47.",)), {}, ["left out: 3 of 47."]),
        (DEMO, {"constant_clips": 2}, ["tau counts as 0: 20 of the 1250"]),
        (
            replace(DEMO, windows_s={"chroma": 1.0, "compare": 0.5, "cqt": 0.5}),
            {},
            ["frames of 0.5 s (chroma: 1 s) every 0.5 s"],
        ),
    ],
)
def test_note_states_the_circumstances(
    about: Circumstances, constants: dict[str, object], sayings: list[str]
) -> None:
    note = write_note(make_evaluation(RUNS, **constants), about)
    assert [saying for saying in sayings if saying not in note] == []


def split_latex_rows(latex: str) -> list[tuple[int, list[int]]]:
    """Return for each tabular how many columns it specifies and how many each row fills."""
    tabulars = []
    for specification, body in re.findall(
        r"\\begin\{tabular\}\{([^\n]*)\}\n(.*?)\\end\{tabular\}", latex, flags=re.DOTALL
    ):
        columns = len(re.sub(r"@\{(?:[^{}]|\{[^{}]*\})*\}", "", specification))
        rows = [row for row in body.split("\n") if row.endswith(r"\\")]
        spans = [
            sum(
                int(span[1]) if (span := re.match(r"\s*\\multicolumn\{(\d+)\}", cell)) else 1
                for cell in re.split(r"(?<!\\)&", row)
            )
            for row in rows
        ]
        tabulars.append((columns, spans))
    return tabulars


def test_latex_escapes_what_is_special_and_fills_every_row() -> None:
    runs = [("compare", "LSTM_400"), (r"50%_&#$~^{\x}", "AT_64")]
    latex = render_latex(build_tables(make_evaluation(runs), EMOMUSIC), r"100 % of a_b & #1 \x")
    escaped = r"50\%\_\&\#\$\textasciitilde{}\textasciicircum{}\{\textbackslash{}x\}"
    assert latex.count(escaped) == 2  # in the tables of feature sets
    assert r"100 \% of a\_b \& \#1 \textbackslash{}x" in latex
    tabulars = split_latex_rows(latex)
    assert len(tabulars) == 9  # one model on the main set has no attention to judge
    for columns, spans in tabulars:
        assert len(spans) > 1
        assert set(spans) == {columns}


def test_numbers_are_written_alike_wherever_they_lie() -> None:
    table = Table("label", "caption", ["Model", "R2", "MAE"])
    values = (0.634, -0.05, -0.001, 1.2, -8.64, -2542.49, float("nan"))
    table.rows.extend(
        Row(["AT_64", Score(value, (value, value)), Score(value)]) for value in values
    )
    latex = render_latex([table], "")
    shown = [line.split("&")[-1].strip(" \\") for line in latex.split("\n") if "AT" in line]
    assert shown == [".63", "$-$.05", ".00", "1.20", "$-$8.64", "$-$2542", "--"]


class TableReader(HTMLParser):
    """Reads a page back as rows of text, widths in columns, and classes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.widths: list[int] = []
        self.classes: list[str] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text = "" if tag in ("td", "th", "h1", "h2") else self.text
        if tag == "tr":
            self.rows.append([])
            self.widths.append(0)
            self.classes.append(dict(attrs).get("class") or "")
        if tag in ("td", "th"):
            self.widths[-1] += int(dict(attrs).get("colspan") or 1)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.rows[-1].append(self.text)
        if tag in ("h1", "h2"):
            self.headings.append(self.text)


def test_page_holds_the_same_rows_and_escapes_names() -> None:
    tables = build_tables(make_evaluation(RUNS), EMOMUSIC)
    page = TableReader(render_html(tables[:1], "a < b & c", title="<script>x</script>"))
    assert page.headings[0] == "<script>x</script>"
    assert page.rows[0] == ["Model", "R2", "τ", "MAE", "One seed", "Validation"]
    assert len(set(page.widths)) == 1
    names = [cells[0] for cells in page.rows[1:]]
    assert names[:5] == [
        *("LSTM_400 (baseline)", "published †‡"),
        *("AT_300", "published †‡"),
        "AT_65 (best)",
    ]
    assert page.classes[1:6] == ["ours", "published", "ours", "published", "chosen"]
    assert set(page.classes[7:]) == {"baseline"}
    assert page.rows[2] == ["published †‡", ".60", "", ".14", "", ".11", "", "", "", ""]
    assert page.rows[1][-3:] == [".55", "± .01", ".40"]


@pytest.fixture
def latex_compiler() -> str:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("pdflatex is not installed, so tables.tex cannot be compiled")
    return compiler


NAMES = [
    *("民謡", "演歌 & ポップ", "한국어", "ไทย", "עברית", "عربي", "हिन्दी"),
    *("Рок", "Народная музыка", "Ελληνικά ρεμπέτικο"),
    *("«chanson»", "‹x› „Volks“ ‘x’", "🎵 and 👩‍👩‍👧❤️", "Ａ％＃", "ﬁ ½ ⅓ ² 𝔉𝔯"),
    *("Zoë łódź Ångström", "Đorđe Þór", "Việt ếợ", "e\u0301e\u0323", "ŉĸſ"),
    *("bell\x07 esc\x1b[1m nul\x00 del\x7f", "two\n\nlines\u2028", "\ufeffx\u202ey\u00adz\u00a0"),
    *('a>b|c"d<e', "50%_&#$~^{\\x}", "[1]", "*", "\x19[x", "--- ?` ,, <<"),
]
"""Of genres, as people give them in all scripts."""


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("Zoë łódź", "Zoë łódź"),
        ("e\u0301", "é"),
        ("民謡 and more", r"\emotracetext{民謡}{U+6C11 U+8B21} and more"),
        ("Рок", r"\emotracetext{Рок}{Rok}"),
        ("Ρεμπέτικο", r"\emotracetext{Ρεμπέτικο}{Rempetiko}"),
        ("«x»", r"\emotracetext{«}{$\ll$}x\emotracetext{»}{$\gg$}"),
        ("Ａ％", r"\emotracetext{Ａ％}{A\%}"),
        ("a\x07b\u200bc\n\nd", "a bc  d"),
        ('a>b|c"d', "a$>$b\\textbar{}c''d"),
        ("[x", "{}[x"),
        (" *x", "{} *x"),
        ("a--b ?`", "a-{}-b ?{}`"),
    ],
)
def test_latex_holds_what_pdflatex_can_set_and_the_original(text: str, escaped: str) -> None:
    latex = render_latex([Table("x", "", ["genre"], [Row([text])])], "")
    assert f"\\midrule\n{escaped} \\\\\n" in latex
    assert (r"\providecommand{\emotracetext}" in latex) == ("emotracetext" in escaped)
    page = render_html([Table("x", "", ["genre"], [Row([text])])], "", title="")
    assert f">{html.escape(text)}</td>" in page


@pytest.mark.parametrize("encoding", ["", r"\usepackage[T1]{fontenc}"])
def test_latex_compiles_whatever_the_script(
    encoding: str, latex_compiler: str, tmp_path: Path
) -> None:
    # Every character of the blocks of Latin letters and punctuation, besides the samples.
    codes = [*range(0x20, 0x250), *range(0x1E00, 0x1F00), *range(0x2010, 0x2070)]
    samples = [*NAMES, *(f"{chr(code)} x" for code in codes)]
    rows = [[Row([name, 3]) for name in samples[n : n + 40]] for n in range(0, len(samples), 40)]
    tables = [Table(f"x{n}", NAMES[n % len(NAMES)], ["genre", "n"], r) for n, r in enumerate(rows)]
    (tmp_path / "tables.tex").write_text(render_latex(tables, "; ".join(NAMES)), encoding="utf-8")
    (tmp_path / "paper.tex").write_text(
        rf"\documentclass{{article}}{encoding}\usepackage{{booktabs}}"
        r"\begin{document}\listoftables\input{tables.tex}"
        r"\end{document}"
    )
    command = [latex_compiler, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    for _ in range(2):  # the second time with the list of tables
        printed = subprocess.run(command, cwd=tmp_path, capture_output=True).stdout
        assert (tmp_path / "paper.pdf").is_file(), printed.decode(errors="replace")[-2000:]
    assert "Missing character" not in (tmp_path / "paper.log").read_text(errors="replace")


@pytest.mark.parametrize("name", ["every model of the paper", "special characters"])
def test_latex_compiles_and_fits_an_ordinary_page(
    name: str, latex_compiler: str, tmp_path: Path
) -> None:
    if name == "every model of the paper":
        sets = ["chroma", "cqt", "chroma_cqt", "spectral"]
        runs = [("compare", model) for model in PUBLISHED_GRID]
        runs += [(feature_set, f"AT_{units}") for feature_set in sets for units in (64, 128)]
        found = make_evaluation(runs, protocol="paper", constant_clips=1)
        found.metrics[["r2", "r2_low"]] -= 0.75  # minus signs take room too
    else:
        found = make_evaluation([*RUNS, (r"50%_&#$~^{\x}", "AT_64")])
    tables = build_tables(found, EMOMUSIC)
    latex = render_latex(tables, write_note(found, EMOMUSIC))
    (tmp_path / "tables.tex").write_text(latex, encoding="utf-8")
    (tmp_path / "paper.tex").write_text(
        r"\documentclass[a4paper,10pt]{article}\usepackage{booktabs}"
        r"\begin{document}\input{tables.tex}\end{document}"
    )
    command = [latex_compiler, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert (tmp_path / "paper.pdf").is_file(), printed
    assert "Overfull" not in printed, printed
    assert "Float too large" not in printed, printed
