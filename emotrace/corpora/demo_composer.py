"""Compose the clips of the demo corpus: turn controls into notes.

A control is a curve in [-1, 1] at `CONTROL_RATE`, drawn by `emotrace.corpora.demo_music`. This
module turns tempo, mode, register, consonance and energy into harmony, bass, melody and drums.
`emotrace.corpora.demo_synthesiser` turns the notes into sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

CONTROL_RATE = 20.0  # Hz
STEPS_PER_BEAT = 4


@dataclass(frozen=True)
class Genre:
    """How music of one genre is played.

    Patterns are written in sixteenths: ``x`` plays all voices, a digit plays one voice, ``-``
    holds, ``.`` rests. Each pattern fills one bar. `calm` and `busy` are the patterns of the
    accompaniment at low and high energy, and likewise for the two bass patterns. Each item of
    `drums` holds a sound, its pattern, and the energy above which it is played.
    """

    name: str
    energy: float
    swing: float
    reverb: float
    accompaniment: tuple[str, ...]
    calm: str
    busy: str
    bass: tuple[str, ...]
    bass_calm: str
    bass_busy: str
    melody: tuple[str, ...]
    drums: tuple[tuple[str, str, float], ...] = ()


GENRES = (
    Genre(
        "Ambient", -0.30, 0.0, 0.45, ("pad", "strings"), "x---------------",
        "x---------------", ("sub bass",), "0---------------", "0-------1-------",
        ("bell", "flute"),
        (("shaker", "..x...x...x...x.", -0.1), ("kick", "x.......x.......", 0.2)),
    ),
    Genre(
        "Chamber", -0.15, 0.0, 0.30, ("piano", "harp"), "0---1---2---", "0-1-2-3-2-1-",
        ("strings",), "0-----------", "0---1---2---", ("strings", "flute"),
        (("timpani", "x...........", 0.3), ("shaker", "x...x...x...", 0.5)),
    ),
    Genre(
        "Folk", 0.0, 0.08, 0.15, ("guitar", "harp"), "0-1-2-1-0-1-2-1-", "x---x-x---x-x-x-",
        ("plucked bass",), "0-------1-------", "0---0---1---1---", ("flute", "piano"),
        (("shaker", "x.x.x.x.x.x.x.x.", -0.3), ("kick", "x.......x.......", 0.0),
         ("snare", "....x.......x...", 0.3)),
    ),
    Genre(
        "Jazz", 0.0, 0.30, 0.20, ("electric piano", "piano"), "x-----------x---",
        "x--.x-..--x-..x-", ("plucked bass",), "0-------1-------", "0---2---1---2---",
        ("electric piano", "reed"),
        (("hat", "x...x.x.x...x.x.", -0.5), ("snare", "......x.......x.", 0.1),
         ("kick", "x.......x..x....", 0.2)),
    ),
    Genre(
        "Rock", 0.25, 0.0, 0.12, ("overdriven guitar", "organ"), "x-------x-------",
        "x-x-x-x-x-x-x-x-", ("bass",), "0---0---0---0---", "0-0-0-0-0-0-1-0-",
        ("guitar", "organ"),
        (("kick", "x.....x.x.x.....", -0.6), ("snare", "....x.......x...", -0.5),
         ("hat", "x.x.x.x.x.x.x.x.", -0.3)),
    ),
    Genre(
        "Electronic", 0.20, 0.0, 0.25, ("saw", "organ"), "x---------------",
        "0-1-2-3-0-1-2-3-", ("bass", "sub bass"), "0-------0-------", "..0-..0-..0-..2-",
        ("saw", "bell"),
        (("kick", "x...x...x...x...", -0.5), ("hat", "..x...x...x...x.", -0.3),
         ("snare", "....x.......x...", 0.0), ("shaker", "xxxxxxxxxxxxxxxx", 0.3)),
    ),
)  # fmt: skip

CHORDS = {  # numeral: (semitones of the root above the tonic, quality)
    "I": (0, "major"), "ii": (2, "minor"), "iii": (4, "minor"), "IV": (5, "major"),
    "V": (7, "major"), "vi": (9, "minor"), "bVII": (10, "major"), "i": (0, "minor"),
    "iio": (2, "diminished"), "bIII": (3, "major"), "iv": (5, "minor"), "v": (7, "minor"),
    "bVI": (8, "major"), "bII": (1, "major"), "viio": (11, "diminished"),
}  # fmt: skip
TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7), "diminished": (0, 3, 6)}

# From dark to bright; the control `mode` selects a row.
MODES = (
    (-1.0, (0, 1, 3, 5, 7, 8, 11), ("i iv i v", "i bII iv i", "i viio iv v", "i iio v i")),
    (-0.4, (0, 2, 3, 5, 7, 8, 10), ("i bVI bIII bVII", "i iv bVI V", "i v bVI iv")),
    (0.4, (0, 2, 4, 5, 7, 9, 11), ("I vi IV V", "vi IV I V", "I iii vi IV", "ii V I vi")),
    (1.0, (0, 2, 4, 5, 7, 9, 11), ("I IV I V", "I V IV V", "I IV V I", "I V I IV")),
)
MOTIFS = (
    "x---x-x-x---x-x-", "x-----x-x-------", "..x-x-x-x---....", "x-x-x---x-x-x---",
    "x-------..x-x-x-", "x--x--x-x-------", "....x-x-x-x-x---", "x---------x-x---",
)  # fmt: skip
CONTOUR = (2, 1, 1, 1, -1, -1, -1, -2)  # steps in the scale, to be shuffled; their sum is 0


class Note(NamedTuple):
    """One tone or drum stroke: MIDI pitch, seconds, strength in [0, 1]. Drums have pitch 0."""

    instrument: str
    start: float
    duration: float
    pitch: int
    strength: float


@dataclass(frozen=True)
class Style:
    """Properties that all clips of an artist share."""

    genre: Genre
    accompaniment: str
    bass: str
    melody: str


def draw_style(genre: Genre, rng: np.random.Generator) -> Style:
    """Choose the instruments of an artist."""
    return Style(
        genre,
        accompaniment=str(rng.choice(genre.accompaniment)),
        bass=str(rng.choice(genre.bass)),
        melody=str(rng.choice(genre.melody)),
    )


def compose(
    style: Style, controls: dict[str, np.ndarray], duration_s: float, rng: np.random.Generator
) -> tuple[list[Note], dict[str, np.ndarray]]:
    """Compose the notes of a clip.

    Parameters
    ----------
    style : Style
        Instruments and patterns.
    controls : dict of str to numpy.ndarray
        The six controls described in `emotrace.corpora.demo_music`, each of shape (frames,).
    duration_s : float
        Duration in seconds; no note begins later.
    rng : numpy.random.Generator
        Random generator.

    Returns
    -------
    notes : list of Note
        All notes of all parts.
    controls : dict of str to numpy.ndarray
        The controls as played: `mode` now changes in steps, together with the harmony.
    """
    time = np.arange(len(controls["tempo"])) / CONTROL_RATE
    beat_of_time = np.concatenate([[0], np.cumsum(beats_per_minute(controls["tempo"][:-1]))])
    beat_of_time /= 60 * CONTROL_RATE
    beats_per_bar = len(style.genre.calm) // STEPS_PER_BEAT
    n_bars = int(np.ceil(beat_of_time[-1] / beats_per_bar))
    # One step per sixteenth, and one more to end the last bar; time stops at the end of the clip.
    beats = np.arange(n_bars * beats_per_bar * STEPS_PER_BEAT + 1) / STEPS_PER_BEAT
    beats = np.where(np.arange(len(beats)) % 4 == 2, beats + style.genre.swing / 2, beats)
    step_times = np.interp(beats, beat_of_time, time).reshape(-1)

    writer = _Writer(style, controls, step_times, rng)
    mode = np.empty_like(time)
    for bar in range(n_bars):
        begin = step_times[bar * beats_per_bar * STEPS_PER_BEAT]
        mode[time >= begin] = writer.write_bar(bar)
    return [n for n in writer.notes if n.start < duration_s - 0.05], {**controls, "mode": mode}


def beats_per_minute(tempo: np.ndarray) -> np.ndarray:
    """Convert the control `tempo` to beats per minute, 58 to 158."""
    return 96.0 * 2 ** (0.72 * tempo)


class _Writer:
    """Writes the notes bar by bar, and remembers the voicing, the melody and the progression."""

    def __init__(
        self,
        style: Style,
        controls: dict[str, np.ndarray],
        step_times: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        self.style, self.controls, self.step_times, self.rng = style, controls, step_times, rng
        self.steps_per_bar = len(style.genre.calm)
        self.tonic = int(rng.integers(12))
        self.mode_index = -1
        self.progression: list[str] = []
        self.voicing: tuple[int, ...] = ()
        self.melody_pitch = 72
        self.motifs = [
            (motif, rng.permutation(CONTOUR)) for motif in rng.choice(MOTIFS, 2, replace=False)
        ]
        self.notes: list[Note] = []

    def write_bar(self, bar: int) -> float:
        """Write one bar and return the value of its mode."""
        begin = self.step_times[bar * self.steps_per_bar]
        now = {name: curve[int(begin * CONTROL_RATE)] for name, curve in self.controls.items()}
        energy = 0.5 * (now["tempo"] + now["loudness"])
        changed = self._choose_mode(now["mode"], bar)
        root, quality = CHORDS[self.progression[bar % 4]]
        value, scale, _ = MODES[self.mode_index]
        classes = [(self.tonic + root + step) % 12 for step in TRIADS[quality]]
        classes += self._colour_chord(root, scale, now["consonance"])
        centre = 60 + 7 * now["register"]
        self.voicing = lead_voices(classes, self.voicing, centre)

        genre = self.style.genre
        self._play(bar, self.style.accompaniment, genre.busy if energy > 0 else genre.calm,
                   self.voicing, 0.55)  # fmt: skip
        low = 36 + round(3 * now["register"])
        bass_root = low + (self.tonic + root - low) % 12
        self._play(bar, self.style.bass, genre.bass_busy if energy > 0 else genre.bass_calm,
                   (bass_root, bass_root + TRIADS[quality][2], bass_root + 12), 0.8)  # fmt: skip
        self._write_melody(bar, classes[:3], scale, centre + 12)
        self._write_drums(bar, energy, changed)
        return value

    def _choose_mode(self, mode: float, bar: int) -> bool:
        """Switch between minor and major if the control requires it; return whether it changed."""
        index = int(np.argmin([abs(mode - row[0]) for row in MODES]))
        changed = index != self.mode_index
        if changed or bar % 8 == 0:
            self.progression = str(self.rng.choice(MODES[index][2])).split()
        if changed and self.mode_index >= 0 and (index >= 2) != (self.mode_index >= 2):
            self.tonic += -3 if index < 2 else 3  # the relative key, so that the step sounds led
        self.mode_index = index
        return changed

    def _colour_chord(self, root: int, scale: tuple[int, ...], consonance: float) -> list[int]:
        """Add a seventh if the genre uses them, and a clashing note if consonance is low."""
        extra = []
        if self.style.genre.name in ("Jazz", "Ambient"):
            extra.append((self.tonic + root + (11 if (root + 11) % 12 in scale else 10)) % 12)
        if self.rng.random() < -0.2 - 0.9 * consonance:
            extra.append((self.tonic + root + int(self.rng.choice([1, 6]))) % 12)
        return extra

    def _play(self, bar: int, instrument: str, pattern: str, voices: tuple[int, ...],
              strength: float) -> None:  # fmt: skip
        for step, length, sign in read_pattern(pattern):
            struck = voices if sign == "x" else (voices[int(sign) % len(voices)],)
            accent = 1.0 if step % 8 == 0 else 0.85
            for order, pitch in enumerate(struck):
                # In a chord, each voice starts slightly after the one before.
                self._add(bar, step, length, instrument, pitch, strength * accent, 0.009 * order)

    def _write_melody(self, bar: int, classes: list[int], scale: tuple[int, ...],
                      centre: float) -> None:  # fmt: skip
        motif, contour = self.motifs[1 if bar % 4 == 3 else 0]
        notes_of_scale = [p for p in range(48, 100) if (p - self.tonic) % 12 in scale]
        notes_of_chord = [p for p in notes_of_scale if p % 12 in classes]
        # Go half way back to the centre, so that the melody varies but follows the register.
        target = 0.5 * (self.melody_pitch + centre)
        place = _nearest(notes_of_scale, _nearest_value(notes_of_chord, target))
        for number, (step, length, _) in enumerate(read_pattern(motif[: self.steps_per_bar])):
            place = int(np.clip(place + (contour[number % 8] if number else 0), 0,
                                len(notes_of_scale) - 1))  # fmt: skip
            pitch = notes_of_scale[place]
            if step % 8 == 0 and number:
                pitch = _nearest_value(notes_of_chord, pitch)
            place = _nearest(notes_of_scale, pitch)
            self.melody_pitch = pitch
            self._add(bar, step, length, self.style.melody, pitch, self.rng.uniform(0.75, 1.0))

    def _write_drums(self, bar: int, energy: float, changed: bool) -> None:
        for sound, pattern, threshold in self.style.genre.drums:
            if energy < threshold:
                continue
            if sound == "snare" and bar % 4 == 3 and energy > 0.25:
                pattern = pattern[:-4] + "xxxx"  # a fill into the next phrase
            for step, length, _ in read_pattern(pattern):
                strength = self.rng.uniform(0.6, 0.8) + (0.2 if step % 4 == 0 else 0.0)
                self._add(bar, step, length, sound, 0, strength)
        if changed and bar and energy > 0.0 and self.style.genre.drums:
            self._add(bar, 0, 4, "cymbal", 0, 0.8)

    def _add(self, bar: int, step: int, length: int, instrument: str, pitch: int,
             strength: float, delay: float = 0.0) -> None:  # fmt: skip
        first = bar * self.steps_per_bar + step
        start, end = self.step_times[first], self.step_times[first + length]
        hesitation = abs(self.rng.normal(0, 0.004))
        self.notes.append(
            Note(instrument, start + delay + hesitation, max(end - start, 0.06), pitch, strength)
        )


def read_pattern(pattern: str) -> list[tuple[int, int, str]]:
    """Convert a pattern of sixteenths to (step, length in steps, sign) for each stroke."""
    strokes = []
    for step, sign in enumerate(pattern):
        if sign not in ".-":
            held = len(pattern[step + 1 :]) - len(pattern[step + 1 :].lstrip("-"))
            strokes.append((step, 1 + held, sign))
    return strokes


def lead_voices(classes: list[int], previous: tuple[int, ...], centre: float) -> tuple[int, ...]:
    """Place pitch classes in close position, as near to the previous chord as the centre allows.

    Parameters
    ----------
    classes : list of int
        Pitch classes of the chord, 0 to 11.
    previous : tuple of int
        MIDI pitches of the previous chord; empty if there is none.
    centre : float
        MIDI pitch around which the chord should lie.

    Returns
    -------
    tuple of int
        MIDI pitches in ascending order.
    """
    lowest = int(centre) - 12
    candidates = []
    for start in range(lowest, lowest + 16):
        if start % 12 in classes:
            candidates.append(tuple(sorted(start + (c - start) % 12 for c in set(classes))))

    def cost(chord: tuple[int, ...]) -> float:
        movement = sum(min(abs(p - q) for q in previous) for p in chord) if previous else 0
        return movement + 1.5 * abs(np.mean(chord) - centre)

    return min(candidates, key=cost)


def _nearest(values: list[int], target: float) -> int:
    return int(np.argmin(np.abs(np.asarray(values) - target)))


def _nearest_value(values: list[int], target: float) -> int:
    return values[_nearest(values, target)]
