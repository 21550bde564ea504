"""Make the music and the annotations of the demo corpus from a seed.

Each clip is composed (`emotrace.corpora.demo_composer`) and synthesised
(`emotrace.corpora.demo_synthesiser`) from six controls that vary over time, each in [-1, 1]. A
fixed rule determines the emotion that a listener perceives::

    arousal = 0.20 tempo + 0.36 loudness + 0.24 brightness
    valence = 0.30 mode + 0.24 consonance + 0.14 register + 0.10 brightness

- tempo: 58 to 158 beats per minute, 96 at 0.
- loudness: gain; the resulting level is about -35 to -13 dB re full scale.
- brightness: cutoff frequency of a low-pass filter over the whole mix, 600 Hz to 11 kHz.
- mode: -1 dark minor, -0.4 minor with major chords, 0.4 major with minor chords, 1 plain major.
- consonance: below 0.4, tones are detuned and beat, and the sound is overdriven and noisy; below
  -0.22, chords gain clashing notes.
- register: moves the chords and the melody by up to a fifth up or down, and the bass by less.

Nothing else affects the emotion. The density of the music follows from the controls: accompaniment
and bass play their busy patterns while the mean of tempo and loudness is positive, and the same
mean decides when drums are played. The controls are correlated, as they are in real music: each
clip and each section has an *energy*, which drives the controls of arousal, and a *mood*, which
drives those of valence. Each control deviates from these by artist and by section. Genres differ
in energy.

Ten simulated annotators follow the emotion with a delay of 0.5 to 2 s and an inertia of 0.5 to
1.5 s. Each has a scale and a bias per clip, and drifts while listening. The annotations are their
mean and (population) standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from emotrace.corpora import demo_composer, demo_synthesiser
from emotrace.corpora.demo_names import N_ANNOTATORS, count_artists, demo_clip_ids, label_clip
from emotrace.runtime.errors import EmotraceError

if TYPE_CHECKING:
    import pandas as pd

RULE = {
    "arousal": {"tempo": 0.20, "loudness": 0.36, "brightness": 0.24},
    "valence": {"mode": 0.30, "consonance": 0.24, "register": 0.14, "brightness": 0.10},
}
FRAME_S = 0.5
FIRST_ANNOTATION_S = 15.0
LEAST_DURATION_S = 6.0

# For each control: its loadings on the energy and mood of a section, and the standard deviations
# of its offset per artist, its offset per section, and its glide within a section. The deviations
# make sure that no single control reveals the whole emotion.
LOADINGS = {
    # control: (energy, mood, style deviation, section deviation, glide deviation)
    "tempo": (0.90, 0.00, 0.08, 0.10, 0.16),
    "loudness": (0.95, 0.00, 0.10, 0.14, 0.22),
    "brightness": (0.80, 0.15, 0.10, 0.12, 0.22),
    "mode": (0.00, 1.00, 0.12, 0.22, 0.00),
    "consonance": (0.00, 0.95, 0.12, 0.16, 0.10),
    "register": (0.05, 0.70, 0.14, 0.14, 0.12),
}

TITLES = (
    ("Slow", "Broken", "Golden", "Last", "Hidden", "Winter", "Rising", "Borrowed", "Silver",
     "Open", "Restless", "Sleeping", "Scarlet"),
    ("Window", "River", "Staircase", "Letter", "Morning", "Signal", "Garden", "Compass", "Shadow",
     "Bridge", "Carousel"),
)  # fmt: skip


@dataclass(frozen=True)
class DemoClip:
    """A clip together with everything that is known about it.

    Attributes
    ----------
    samples : numpy.ndarray
        Mono sound, shape (samples,), float32 within [-0.9, 0.9], in steps of 16 bits, 44100 Hz.
    metadata : dict of str to object
        Row of the clip in clips.csv.
    annotations : pandas.DataFrame
        Rows of the clip in annotations.csv.
    controls : dict of str to numpy.ndarray
        Ground truth: each control at 20 Hz from 0 s, shape (control frames,).
    ratings : dict of str to numpy.ndarray
        Ratings of all annotators for arousal and valence, shape (annotators, annotated frames).
    """

    samples: np.ndarray
    metadata: dict[str, Any]
    annotations: pd.DataFrame
    controls: dict[str, np.ndarray]
    ratings: dict[str, np.ndarray]


def synthesise_clip(clip_id: str, *, n_clips: int, duration_s: float, seed: int) -> DemoClip:
    """Compose, render and annotate one clip.

    The result depends only on the arguments. Other machines may round the last bit differently.

    Parameters
    ----------
    clip_id : str
        One of ``demo_clip_ids(n_clips)``.
    n_clips : int
        Number of clips of the corpus, over which energies, moods and artists are spread.
    duration_s : float
        Duration in seconds, at least 6.
    seed : int
        Seed of the corpus, not negative.

    Returns
    -------
    DemoClip
        Sound, tables and ground truth.

    Raises
    ------
    EmotraceError
        If the corpus has no such clip, the corpus is too small, or the clip is too short.
    """
    import pandas as pd

    clip_ids = demo_clip_ids(n_clips)
    _check_request(clip_id, clip_ids, duration_s)
    index = clip_ids.index(clip_id)
    artist = index % count_artists(n_clips)
    style_rng = np.random.default_rng(np.random.SeedSequence([seed, 1, artist]))
    genre = _choose_genre(artist)
    style = demo_composer.draw_style(genre, style_rng)
    offsets = {name: style_rng.normal(0, row[2]) for name, row in LOADINGS.items()}
    energy, mood = _spread_clips(n_clips, seed)[index]
    drawing, composing, playing, listening = np.random.default_rng(
        np.random.SeedSequence([seed, 2, index])
    ).spawn(4)

    controls = draw_controls(energy + genre.energy, mood, offsets, duration_s, drawing)
    notes, controls = demo_composer.compose(style, controls, duration_s, composing)
    sound = demo_synthesiser.synthesise(
        notes, controls, duration_s=duration_s, reverb=genre.reverb, rng=playing
    )
    times = annotated_times(duration_s)
    ratings = {
        target: simulate_annotators(emotion_of(controls, target), times, listening)
        for target in RULE
    }
    columns = {"clip_id": clip_id, "time_s": times}
    columns |= {target: values.mean(axis=0) for target, values in ratings.items()}
    columns |= {f"{target}_std": values.std(axis=0) for target, values in ratings.items()}
    return DemoClip(
        samples=(np.round(sound * 32768) / 32768).astype(np.float32),
        metadata=_describe_clip(clip_id, index, n_clips),
        annotations=pd.DataFrame(columns).round(6),
        controls=controls,
        ratings=ratings,
    )


def synthesise_corpus(
    folder: Path,
    *,
    n_clips: int = 48,
    duration_s: float = 45.0,
    seed: int = 2020,
    map_clips: Callable[..., Any] = map,
) -> None:
    """Write a demo corpus to a folder.

    Write ``audio/<clip_id>.flac``, ``clips.csv`` (clip_id, path relative to the folder, offset_s,
    split, artist, title, genre) and ``annotations.csv`` (clip_id, time_s, arousal, valence,
    arousal_std, valence_std).

    Parameters
    ----------
    folder : Path
        Folder to write to; created if necessary.
    n_clips : int
        Number of clips, at least 4.
    duration_s : float
        Duration of each clip in seconds, at least 6.
    seed : int
        Seed; equal seeds give equal corpora.
    map_clips : callable
        Function with the signature of `map`; use that of a process pool to render in parallel.

    Raises
    ------
    EmotraceError
        If the corpus would be too small or its clips too short.
    """
    import pandas as pd

    clip_ids = demo_clip_ids(n_clips)
    _check_request(clip_ids[0], clip_ids, duration_s)
    folder = Path(folder)
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    write = partial(_write_clip, folder=folder, n_clips=n_clips, duration_s=duration_s, seed=seed)
    rows, annotations = zip(*map_clips(write, clip_ids), strict=True)
    pd.DataFrame(list(rows)).to_csv(folder / "clips.csv", index=False)
    columns = ["clip_id", "time_s", "arousal", "valence", "arousal_std", "valence_std"]
    pd.concat(annotations)[columns].to_csv(folder / "annotations.csv", index=False)


def draw_controls(
    energy: float,
    mood: float,
    offsets: dict[str, float],
    duration_s: float,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Draw the six control curves of a clip.

    The clip is divided into sections of about eleven seconds, each with its own energy and mood
    near those of the clip. Within a section, a control glides from a start to an end value, which
    makes crescendi, ritardandi and filter sweeps.

    Parameters
    ----------
    energy, mood : float
        Energy and mood of the clip, about -1 to 1.
    offsets : dict of str to float
        Deviation of each control that is typical of the artist.
    duration_s : float
        Duration in seconds.
    rng : numpy.random.Generator
        Random generator.

    Returns
    -------
    dict of str to numpy.ndarray
        One curve per control, of shape (round(20 * duration_s) + 1,), within [-1, 1].
    """
    rate = demo_composer.CONTROL_RATE
    time = np.arange(round(duration_s * rate) + 1) / rate
    n_sections = max(2, round(duration_s / 11))
    lengths = rng.uniform(0.7, 1.3, n_sections)
    borders = np.concatenate([[0], np.cumsum(lengths) / lengths.sum()]) * duration_s
    energies = energy + rng.normal(0, 0.22, n_sections)
    moods = mood + rng.normal(0, 0.24, n_sections)
    # Two points per section, close to its borders: a glide within, and a quick change between.
    points = np.stack([borders[:-1] + 0.3, borders[1:] - 0.3], axis=1).ravel()
    curves = {}
    for name, (of_energy, of_mood, _, deviation, glide) in LOADINGS.items():
        centres = of_energy * energies + of_mood * moods + offsets[name]
        centres = centres + rng.normal(0, deviation, n_sections)
        slopes = rng.normal(0, glide, n_sections)
        values = np.stack([centres - slopes, centres + slopes], axis=1).ravel()
        curves[name] = np.tanh(np.interp(time, points, values))
    return curves


def emotion_of(controls: dict[str, np.ndarray], target: str) -> np.ndarray:
    """Return the emotion at each moment of the controls, in about [-1, 1]."""
    return np.sum([weight * controls[name] for name, weight in RULE[target].items()], axis=0)


def annotated_times(duration_s: float) -> np.ndarray:
    """Return the annotated times of a clip: every half second that the clip covers completely.

    They start at 15 s, as in emoMusic; in clips shorter than 30 s, at a third of the duration.

    Parameters
    ----------
    duration_s : float
        Duration in seconds.

    Returns
    -------
    numpy.ndarray
        Times in seconds, shape (annotated frames,).
    """
    first = FIRST_ANNOTATION_S if duration_s >= 2 * FIRST_ANNOTATION_S else duration_s / 3
    # The small surplus prevents durations such as 6.1 from losing a frame to binary rounding.
    return np.arange(round(first / FRAME_S), int(duration_s / FRAME_S + 1e-9)) * FRAME_S


def simulate_annotators(
    emotion: np.ndarray, times: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Simulate ten annotators who follow an emotion.

    Parameters
    ----------
    emotion : numpy.ndarray
        True emotion at 20 Hz from 0 s, shape (control frames,).
    times : numpy.ndarray
        Times of the ratings in seconds, shape (annotated frames,).
    rng : numpy.random.Generator
        Random generator.

    Returns
    -------
    numpy.ndarray
        Ratings in [-1, 1], shape (annotators, annotated frames).
    """
    step = 1 / demo_composer.CONTROL_RATE
    time = np.arange(len(emotion)) * step
    ratings = []
    for _ in range(N_ANNOTATORS):
        delay, inertia = rng.uniform(0.5, 2.0), rng.uniform(0.5, 1.5)
        bias, scale = rng.normal(0, 0.18), rng.lognormal(0, 0.2)
        heard = np.interp(time - delay, time, emotion)
        # Drift is a random walk that returns to zero over about five seconds.
        shocks = rng.normal(0, 0.09 * np.sqrt(2 * step / 5), len(emotion))
        state, drift, trace = heard[0], rng.normal(0, 0.09), np.empty_like(heard)
        for frame, value in enumerate(heard):
            state += (value - state) * step / inertia
            drift += shocks[frame] - drift * step / 5
            trace[frame] = bias + scale * state + drift
        ratings.append(np.clip(np.interp(times, time, trace), -1, 1))
    return np.stack(ratings)


def _check_request(clip_id: str, clip_ids: list[str], duration_s: float) -> None:
    if clip_id not in clip_ids:
        raise EmotraceError(
            f"there is no clip {clip_id!r} in a demo corpus of {len(clip_ids)} clips",
            hint=f"clips are named {clip_ids[0]} to {clip_ids[-1]}",
        )
    if duration_s < LEAST_DURATION_S:
        raise EmotraceError(
            f"demo clips of {duration_s} s were asked for, expected at least {LEAST_DURATION_S} s",
            hint="raise the duration of the demo corpus; 45 s is the default",
        )


def _choose_genre(artist: int) -> demo_composer.Genre:
    return demo_composer.GENRES[artist % len(demo_composer.GENRES)]


def _spread_clips(n_clips: int, seed: int) -> np.ndarray:
    """Draw the energy and mood of all clips, shape (clips, 2)."""
    # Use quantiles in random order, so that small corpora are spread as well as large ones.
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    normal = NormalDist(0, 0.5)
    quantiles = np.array([normal.inv_cdf((rank + 0.5) / n_clips) for rank in range(n_clips)])
    return np.stack([rng.permutation(quantiles) for _ in range(2)], axis=1)


def _describe_clip(clip_id: str, index: int, n_clips: int) -> dict[str, Any]:
    artist, split = label_clip(index, n_clips)
    genre = _choose_genre(index % count_artists(n_clips))
    return {
        "clip_id": clip_id,
        "path": f"audio/{clip_id}.flac",
        "offset_s": 0.0,
        "split": split,
        "artist": artist,
        "title": f"{TITLES[0][index % len(TITLES[0])]} {TITLES[1][index % len(TITLES[1])]}",
        "genre": genre.name,
    }


def _write_clip(
    clip_id: str, *, folder: Path, n_clips: int, duration_s: float, seed: int
) -> tuple[dict[str, Any], pd.DataFrame]:
    import soundfile

    clip = synthesise_clip(clip_id, n_clips=n_clips, duration_s=duration_s, seed=seed)
    samples = np.round(clip.samples * 32768).astype(np.int16)
    soundfile.write(
        folder / clip.metadata["path"], samples, demo_synthesiser.SAMPLE_RATE, subtype="PCM_16"
    )
    return clip.metadata, clip.annotations
