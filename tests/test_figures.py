"""Figures show what they were given, name it, and are the same each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotrace import TARGETS
from emotrace.figures.attended_frames import AttendedClip, draw_attended_frames, find_attended
from emotrace.figures.attention_maps import (
    MapClip,
    draw_attention_maps,
    find_colour_range,
    mask_weights,
)
from emotrace.figures.chromagrams import ChromaClip, draw_chromagrams
from emotrace.figures.curves import Curve, CurveClip, draw_curves
from emotrace.figures.histograms import TargetErrors, draw_error_histograms
from emotrace.figures.style import (
    Clip,
    find_edges,
    find_emotion_limits,
    make_caption,
    save_figure,
)
from emotrace.runtime.errors import EmotraceError

FRAMES = 20
HOP_S = 0.5
TIMES = 15 + HOP_S * np.arange(FRAMES)
WITH_GAPS = np.array([15, 15.5, 16, 18.500001, 20, 20.5])
"""A frame without neighbours among them, and one written with an error of rounding."""
LABELS = {"arousal": "AT_64 on compare", "valence": "AT_128 on spectral"}
NAMES = {"clip_id": "584", "title": "$5 for a_b^c {x} \\frac", "artist": "Кино & Ωmega"}
LONG = {"clip_id": "978", "title": "A long title without an end " * 20, "artist": None}


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def make_curve(random: np.random.Generator, *, std: float = 0.3) -> Curve:
    truth, best, baseline = random.uniform(-0.5, 0.5, (3, FRAMES))
    spread = np.full(FRAMES, std)
    return Curve(times_s=TIMES, truth=truth, truth_std=spread, best=best, baseline=baseline)


def make_curve_clips(random: np.random.Generator, **options: float) -> list[CurveClip]:
    return [
        CurveClip(**names, curves={target: make_curve(random, **options) for target in TARGETS})
        for names in (NAMES, LONG)
    ]


def make_map_clip(random: np.random.Generator, *, backward: bool = False) -> MapClip:
    weights = {}
    for target in TARGETS:
        rows = random.uniform(0.9, 1.1, (FRAMES, FRAMES))
        if backward:
            rows = np.tril(rows, -1)
        weights[target] = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-12)
    return MapClip(**NAMES, times_s=TIMES, weights=weights)


def make_attended_clip(random: np.random.Generator) -> AttendedClip:
    received = {target: random.dirichlet(np.full(FRAMES, 50.0)) for target in TARGETS}
    truth = {target: random.uniform(-0.5, 0.5, FRAMES) for target in TARGETS}
    return AttendedClip(**NAMES, times_s=TIMES, truth=truth, received=received)


def make_chroma_clip(random: np.random.Generator, **options: object) -> ChromaClip:
    return ChromaClip(
        **NAMES,
        chroma=random.uniform(0, 1, (12, 400)),
        sounding_s=(13.0, 33.0),
        span_s=(15.0, 25.0),
        **options,
    )


def make_errors(random: np.random.Generator) -> dict[str, TargetErrors]:
    return {
        target: TargetErrors(
            best=random.gamma(3, 0.04, 125),
            baseline=random.gamma(3, 0.05, 125),
            best_label=LABELS[target],
            baseline_label="LSTM_400 on compare",
        )
        for target in TARGETS
    }


def draw_curves_of(random: np.random.Generator, **options: float) -> Figure:
    clips = make_curve_clips(random, **options)
    return draw_curves(clips, best_labels=LABELS, baseline_label="LSTM_400 on compare", hop_s=HOP_S)


DRAWINGS: dict[str, Callable[[np.random.Generator], Figure]] = {
    "curves": draw_curves_of,
    "histograms": lambda random: draw_error_histograms(make_errors(random)),
    "maps": lambda random: draw_attention_maps([make_map_clip(random)], labels=LABELS, hop_s=HOP_S),
    "attended": lambda random: draw_attended_frames(
        [make_attended_clip(random)], labels=LABELS, hop_s=HOP_S
    ),
    "chromagrams": lambda random: draw_chromagrams(
        [make_chroma_clip(random, attended_s={"arousal": [15.0, 20.0]})], hop_s=HOP_S
    ),
}


def list_legend(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("name", DRAWINGS)
def test_equal_inputs_give_equal_files(name: str, tmp_path: Path) -> None:
    for attempt in ("first", "second"):
        figure = DRAWINGS[name](np.random.default_rng(7))
        save_figure(figure, tmp_path / f"{attempt}.png", tmp_path / f"{attempt}.pdf")
    for ending in ("png", "pdf"):
        first, second = ((tmp_path / f"{x}.{ending}").read_bytes() for x in ("first", "second"))
        assert first == second
        assert b"Matplotlib" not in first
        assert b"CreationDate" not in first


def test_pdf_embeds_truetype_fonts(tmp_path: Path, random: np.random.Generator) -> None:
    save_figure(draw_curves_of(random), tmp_path / "curves.pdf")
    content = (tmp_path / "curves.pdf").read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_unknown_ending_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(EmotraceError, match=r"curves\.gif"):
        save_figure(Figure(), tmp_path / "curves.gif")


@pytest.mark.parametrize("name", DRAWINGS)
def test_legends_and_titles_lie_inside_of_the_figure_and_off_the_axes(
    name: str, random: np.random.Generator
) -> None:
    figure = DRAWINGS[name](random)
    figure.draw_without_rendering()
    page = figure.bbox.padded(1)
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert page.contains(box.x0, box.y0), axes.get_title("left")
        assert page.contains(box.x1, box.y1), axes.get_title("left")
        for legend in figure.legends:
            assert not legend.get_window_extent().overlaps(box)


def test_names_are_printed_as_they_are(random: np.random.Generator) -> None:
    title = draw_curves_of(random).axes[0].get_title("left")
    assert title == "$5 for a_b^c {x} \\frac — Кино & Ωmega (584)"


def test_captions_are_shortened_to_their_room_but_keep_the_clip_id() -> None:
    figure = Figure(figsize=(7, 2))
    caption = make_caption(figure, Clip(**LONG), width=3)
    assert caption.startswith("A long title")
    assert caption.endswith("… (978)")
    assert figure.text(0, 0, caption, fontsize=8.5).get_window_extent().width <= 3 * figure.dpi
    assert make_caption(figure, Clip(clip_id="60", title=float("nan")), width=3) == "clip 60"


def test_curves_show_truth_best_and_baseline_on_shared_limits(random: np.random.Generator) -> None:
    clips = make_curve_clips(random)
    figure = draw_curves(
        clips, best_labels=LABELS, baseline_label="LSTM_400 on compare", hop_s=HOP_S
    )
    assert len(figure.axes) == 4
    assert {axes.get_ylim() for axes in figure.axes} == {(-1.0, 1.0)}
    assert [axes.get_ylabel().split()[0] for axes in figure.axes] == [*TARGETS, *TARGETS]
    assert [axes.get_xlabel() for axes in figure.axes[2:]] == ["time (s)"] * 2
    drawn = {tuple(line.get_ydata()[:FRAMES]) for line in figure.axes[1].lines}
    curve = clips[0].curves["valence"]
    assert {tuple(curve.truth), tuple(curve.best), tuple(curve.baseline)} <= drawn
    legend = "\n".join(list_legend(figure))
    assert "AT_64 on compare (arousal)" in legend
    assert "AT_128 on spectral (valence)" in legend
    assert "baseline: LSTM_400 on compare" in legend
    assert "standard deviation" in legend


def test_unknown_spread_leaves_out_the_band(random: np.random.Generator) -> None:
    figure = draw_curves_of(random, std=np.nan)
    assert not any("standard deviation" in entry for entry in list_legend(figure))
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == (-0.75, 0.75)


def test_emotion_limits_cut_bands_but_never_curves() -> None:
    assert find_emotion_limits([[0.1, np.nan, 0.3]]) == (0.0, 0.5)
    assert find_emotion_limits([[0.8]], [[1.4]]) == (0.75, 1.0)
    assert find_emotion_limits([[0.8, 1.1]]) == (0.75, 1.25)


def test_histograms_count_as_numpy_does(random: np.random.Generator) -> None:
    errors = make_errors(random)
    figure = draw_error_histograms(errors)
    given = [v for target in TARGETS for v in (errors[target].best, errors[target].baseline)]
    edges = set()
    for axes, values in zip(figure.axes, given, strict=True):
        bars = axes.patches
        bins = [bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()]
        assert [bar.get_height() for bar in bars] == list(np.histogram(values, bins)[0])
        assert sum(bar.get_height() for bar in bars) == len(values)
        assert axes.texts[0].get_text() == f"median {np.median(values):.3f}"
        assert "125 clips" in axes.get_title("left")
        edges.add(tuple(bins))
    assert len(edges) == 1
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    assert "AT_128 on spectral" in figure.axes[2].get_title("left")


def test_backward_maps_are_blank_at_and_after_the_own_frame(random: np.random.Generator) -> None:
    clip = make_map_clip(random, backward=True)
    figure = draw_attention_maps([clip], labels=LABELS, hop_s=HOP_S, backward=True)
    for axes, target in zip(figure.axes, TARGETS, strict=False):
        drawn = axes.images[0].get_array()
        assert np.array_equal(drawn.mask, np.triu(np.ones((FRAMES, FRAMES), bool)))
        past = ~drawn.mask
        assert np.array_equal(drawn.data[past], clip.weights[target][past])
    assert "uniform" not in figure.axes[-1].get_xlabel()


def test_backward_maps_never_hide_a_weight(random: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="584, arousal"):
        mask_weights(make_map_clip(random), "arousal", backward=True)


def test_maps_share_colours_and_name_the_uniform_weight(random: np.random.Generator) -> None:
    clip = make_map_clip(random)
    figure = draw_attention_maps([clip], labels=LABELS, hop_s=HOP_S)
    arousal, valence, bar = figure.axes
    assert arousal.images[0].norm is valence.images[0].norm
    assert not np.ma.getmaskarray(arousal.images[0].get_array()).any()
    assert arousal.images[0].origin == "lower"
    assert arousal.images[0].get_extent() == [15, 25, 15, 25]
    assert (arousal.get_xlabel(), arousal.get_ylabel()) == (
        "attended frame (s)",
        "predicted frame (s)",
    )
    assert "uniform weight 1/20 = 0.05" in bar.get_xlabel()
    assert {line.get_xdata()[0] for line in bar.lines} == {1 / FRAMES}


def test_colours_do_not_blow_up_rounding() -> None:
    weights = np.ma.masked_array(0.05 + 1e-9 * np.arange(400).reshape(20, 20) / 400)
    norm, extend = find_colour_range([weights], [0.05], tail=0.01)
    assert norm.vmax - norm.vmin == pytest.approx(0.005)
    assert extend == "neither"


def test_attended_frames_are_those_of_largest_weight(random: np.random.Generator) -> None:
    clip = make_attended_clip(random)
    figure = draw_attended_frames([clip], labels=LABELS, hop_s=HOP_S, count=3)
    curves, *strips = figure.axes
    for strip, target in zip(strips, TARGETS, strict=True):
        expected = set(np.argsort(clip.received[target])[-3:])
        heights = [bar.get_height() for bar in strip.patches]
        np.testing.assert_allclose(heights, FRAMES * clip.received[target])
        assert {i for i, bar in enumerate(strip.patches) if bar.get_alpha() == 1} == expected
        assert _find_marked(curves, clip.truth[target]) == expected
        assert strip.get_ylim()[0] == 0
    assert strips[-1].get_xlabel() == "time (s)"
    assert "valence, frames most attended to by AT_128 on spectral" in list_legend(figure)
    assert any("uniform weight 1/T" in entry for entry in list_legend(figure))


def _find_marked(axes: Axes, truth: np.ndarray) -> set[int]:
    marks = [line for line in axes.lines if line.get_marker() in ("o", "s")]
    frames = [((line.get_xdata() - 15.25) / 0.5).round().astype(int) for line in marks]
    mine = [
        index
        for line, index in zip(marks, frames, strict=True)
        if np.array_equal(line.get_ydata(), truth[index])
    ]
    assert len(mine) == 1
    return set(mine[0].tolist())


def test_a_tenth_of_the_frames_is_attended_but_at_least_one() -> None:
    assert find_attended(np.arange(60)).tolist() == [54, 55, 56, 57, 58, 59]
    assert find_attended([0.1, 0.7, 0.2]).tolist() == [1]
    assert find_attended([0.3, 0.3, 0.3, 0.1], 2).tolist() == [0, 1]


def test_chromagrams_lie_on_the_time_axis_of_the_attended_frames(
    random: np.random.Generator,
) -> None:
    figure = draw_chromagrams(
        [make_chroma_clip(random, attended_s={"valence": [15.0, 20.0]})], hop_s=HOP_S
    )
    panel, bar = figure.axes
    attended = draw_attended_frames([make_attended_clip(random)], labels=LABELS, hop_s=HOP_S)
    assert panel.get_xlim() == attended.axes[0].get_xlim() == (15, 25)
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert labels == ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"]
    np.testing.assert_allclose(panel.images[0].get_extent(), [13, 33, -0.5, 11.5])
    starts = [segment[0][0] for segment in panel.collections[0].get_segments()]
    assert starts == [15, 20]
    assert list_legend(figure) == ["frames attended to for valence"]
    assert "chroma" in bar.get_xlabel()


@pytest.mark.parametrize("clips", range(1, 7))
def test_one_to_six_clips_have_their_panels(clips: int, random: np.random.Generator) -> None:
    maps = draw_attention_maps([make_map_clip(random)] * clips, labels=LABELS, hop_s=HOP_S)
    assert len(maps.axes) == 2 * clips + 1
    attended = draw_attended_frames(
        [make_attended_clip(random)] * clips, labels=LABELS, hop_s=HOP_S
    )
    assert len(attended.axes) == 3 * clips
    chroma = draw_chromagrams([make_chroma_clip(random)] * clips, hop_s=HOP_S)
    assert len(chroma.axes) == clips + 1
    assert list_legend(chroma) == []
    for figure in (maps, attended, chroma):
        assert figure.get_figheight() < 9.5


def cut(clip: Any, **arrays: Any) -> Any:
    """Keep of a clip the frames of `WITH_GAPS`."""
    return replace(clip, times_s=WITH_GAPS, **arrays)


def test_attended_frames_are_drawn_at_their_own_times(random: np.random.Generator) -> None:
    clip = make_attended_clip(random)
    n_frames = len(WITH_GAPS)
    truth = {target: clip.truth[target][:n_frames] for target in TARGETS}
    received = {target: np.arange(1, n_frames + 1) / 21 for target in TARGETS}
    clip = cut(clip, truth=truth, received=received)
    figure = draw_attended_frames([clip], labels=LABELS, hop_s=HOP_S, count=2)
    curves, *strips = figure.axes
    for strip in strips:
        np.testing.assert_allclose([bar.get_x() for bar in strip.patches], WITH_GAPS, atol=1e-5)
        np.testing.assert_allclose([bar.get_width() for bar in strip.patches], HOP_S)
    steps = curves.patches[0].get_data()
    values = dict(zip(steps.edges.round(3), steps.values, strict=False))
    assert [time for time, value in values.items() if np.isfinite(value)] == [
        *(15, 15.5, 16, 18.5, 20, 20.5)
    ]
    assert values[18.5] == truth["arousal"][3]
    marks = [line for line in curves.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(marks[0].get_xdata(), [20.25, 20.75])
    assert curves.get_xlim() == (15, 21)


@pytest.mark.parametrize("hop_s", [0.25, 1.0])
def test_attended_frames_are_as_wide_as_the_hop(hop_s: float, random: np.random.Generator) -> None:
    times = 15 + hop_s * np.arange(FRAMES)
    clip = replace(make_attended_clip(random), times_s=times)
    curves, *strips = draw_attended_frames([clip], labels=LABELS, hop_s=hop_s).axes
    for strip in strips:
        np.testing.assert_allclose([bar.get_x() for bar in strip.patches], times)
        np.testing.assert_allclose([bar.get_width() for bar in strip.patches], hop_s)
    np.testing.assert_allclose(curves.patches[0].get_data().edges, [*times, times[-1] + hop_s])
    assert curves.get_xlim() == (15, 15 + hop_s * FRAMES)
    marked = [line.get_xdata() for line in curves.lines if line.get_marker() in ("o", "s")]
    np.testing.assert_allclose((np.concatenate(marked) - 15) / hop_s % 1, 0.5)


def test_maps_are_blank_where_frames_are_missing(random: np.random.Generator) -> None:
    clip = make_map_clip(random)
    n_frames = len(WITH_GAPS)
    weights = {target: clip.weights[target][:n_frames, :n_frames] for target in TARGETS}
    figure = draw_attention_maps([cut(clip, weights=weights)], labels=LABELS, hop_s=HOP_S)
    image = figure.axes[0].images[0]
    assert image.get_extent() == [15, 21, 15, 21]
    drawn = image.get_array()
    cells = [0, 1, 2, 7, 10, 11]
    assert drawn.shape == (12, 12)
    np.testing.assert_array_equal(drawn[np.ix_(cells, cells)].filled(-1), weights["arousal"])
    assert drawn.count() == n_frames**2


def test_curves_break_where_frames_are_missing(random: np.random.Generator) -> None:
    arrays = random.uniform(-0.5, 0.5, (3, len(WITH_GAPS)))
    truth, best, baseline = arrays
    spread = np.full(len(WITH_GAPS), 0.1)
    curve = Curve(times_s=WITH_GAPS, truth=truth, truth_std=spread, best=best, baseline=baseline)
    clip = CurveClip(**NAMES, curves=dict.fromkeys(TARGETS, curve))
    figure = draw_curves([clip], best_labels=LABELS, baseline_label="LSTM_4", hop_s=HOP_S)
    line = next(line for line in figure.axes[0].lines if line.get_color() == "#000000")
    x_s, y = line.get_xdata(), line.get_ydata()
    breaks = np.flatnonzero(np.isnan(x_s))
    runs = [run[np.isfinite(x_s[run])] for run in np.split(np.arange(len(x_s)), breaks)]
    runs = [run for run in runs if run.size]
    for run, expected in zip(runs, [(15, 15.5, 16, 16.5), (18.5, 19), (20, 20.5, 21)], strict=True):
        np.testing.assert_allclose(x_s[run], expected, atol=1e-5)
    np.testing.assert_array_equal(y[runs[1]], [truth[3]] * 2)
    band = figure.axes[0].collections[0]
    assert len(band.get_paths()) == 3


def test_marks_of_the_chromagram_are_as_wide_as_a_frame(random: np.random.Generator) -> None:
    clip = make_chroma_clip(random, attended_s={"valence": [15.0, 20.0]})
    panel, _ = draw_chromagrams([clip], hop_s=1.0).axes
    segments = panel.collections[0].get_segments()
    assert [(begin[0], end[0]) for begin, end in segments] == [(15, 16), (20, 21)]


def test_frames_end_where_the_next_begins() -> None:
    np.testing.assert_allclose(find_edges([15, 15.5, 16], 0.5), [15, 15.5, 16, 16.5])
    np.testing.assert_allclose(find_edges([15], 2.0), [15, 17])
    np.testing.assert_allclose(find_edges([15, 16], 0.5), [15, 15.5, 16, 16.5])
