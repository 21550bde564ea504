"""Convert the notes and controls of a demo clip to sound.

Tones consist of harmonics whose strength changes from period to period (`render_tone`). They rise
slowly for winds and bowed strings. For plucked and struck strings they decay, the high harmonics
faster than the low ones. Each pitch of an instrument is rendered once and then placed wherever it
is played. The mix then passes through effects that vary over time: roughness, a low-pass filter
(brightness), a reverberant room, and loudness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotrace.corpora.demo_composer import CONTROL_RATE, Note

SAMPLE_RATE = 44100
CUTOFFS = (450.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0)  # Hz, of the filters that are mixed
PEAK = 0.9


@dataclass(frozen=True)
class Instrument:
    """The timbre of a pitched instrument.

    `slope` is the exponent by which harmonics weaken, `even` the strength of the even harmonics
    relative to the odd ones. `fading` (1/s) is the rate at which all harmonics decay; `damping`
    (1/s) is an additional rate, multiplied by the number of the harmonic. `spread` (cents) detunes
    a second voice, `vibrato` (cents) modulates the pitch, `breath` adds noise.
    """

    gain: float
    slope: float
    harmonics: int
    attack: float
    release: float
    fading: float = 0.0
    damping: float = 0.0
    even: float = 1.0
    spread: float = 3.0
    vibrato: float = 0.0
    breath: float = 0.0
    drive: float = 0.0


INSTRUMENTS = {
    "pad": Instrument(0.5, 1.3, 20, 0.35, 0.50, spread=9),
    "strings": Instrument(0.5, 1.1, 24, 0.09, 0.25, spread=6, vibrato=9),
    "flute": Instrument(0.7, 2.2, 10, 0.05, 0.12, vibrato=12, breath=0.05),
    "reed": Instrument(0.6, 1.2, 20, 0.03, 0.10, even=0.35, vibrato=10, breath=0.02),
    "organ": Instrument(0.5, 1.5, 14, 0.01, 0.08, spread=5, even=0.8),
    "saw": Instrument(0.5, 1.0, 32, 0.006, 0.12, fading=0.8, damping=0.08, spread=11),
    "bell": Instrument(0.6, 1.9, 9, 0.003, 0.60, fading=1.3, damping=0.5, even=0.3),
    "piano": Instrument(0.9, 1.25, 24, 0.004, 0.20, fading=1.1, damping=0.28, spread=1.5),
    "electric piano": Instrument(0.9, 1.9, 12, 0.005, 0.20, fading=1.2, damping=0.6, spread=4),
    "guitar": Instrument(0.9, 1.0, 28, 0.003, 0.15, fading=1.5, damping=0.35, spread=1.5),
    "harp": Instrument(0.9, 1.4, 20, 0.003, 0.50, fading=1.6, damping=0.40, spread=1.0),
    "overdriven guitar": Instrument(0.4, 1.0, 28, 0.004, 0.10, 0.7, 0.05, spread=6, drive=3.0),
    "bass": Instrument(1.0, 1.2, 24, 0.006, 0.08, fading=0.8, damping=0.10),
    "sub bass": Instrument(1.1, 2.3, 8, 0.020, 0.12),
    "plucked bass": Instrument(1.2, 1.3, 24, 0.005, 0.10, fading=1.8, damping=0.25),
}
DRUM_SECONDS = {"kick": 0.35, "snare": 0.30, "hat": 0.08, "shaker": 0.10, "cymbal": 1.6,
                "timpani": 1.2}  # fmt: skip
DRUM_GAINS = {"kick": 1.3, "snare": 0.7, "hat": 0.22, "shaker": 0.16, "cymbal": 0.3,
              "timpani": 0.9}  # fmt: skip


def synthesise(
    notes: list[Note],
    controls: dict[str, np.ndarray],
    *,
    duration_s: float,
    reverb: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Render a clip.

    Parameters
    ----------
    notes : list of Note
        Notes of the clip.
    controls : dict of str to numpy.ndarray
        Curves in [-1, 1] at `CONTROL_RATE`; loudness, brightness and consonance are used here.
    duration_s : float
        Duration in seconds.
    reverb : float
        Share of reverberation in the sound, in [0, 1].
    rng : numpy.random.Generator
        Random generator for all noise.

    Returns
    -------
    numpy.ndarray
        Shape (round(duration_s * 44100),), float32, within [-0.9, 0.9].
    """
    n_samples = round(duration_s * SAMPLE_RATE)
    at_sample = np.arange(n_samples, dtype=np.float32) / np.float32(SAMPLE_RATE)
    curves = {
        name: np.interp(
            at_sample, np.arange(len(controls[name])) / CONTROL_RATE, _smooth(controls[name])
        ).astype(np.float32)
        for name in ("loudness", "brightness", "consonance")
    }
    tones = [note for note in notes if note.instrument in INSTRUMENTS]
    strokes = [note for note in notes if note.instrument not in INSTRUMENTS]
    harshness = roughness_of(controls["consonance"])
    mix = _roughen(
        _place_tones(tones, harshness, n_samples, rng), roughness_of(curves["consonance"]), rng
    )
    mix += _place_drums(strokes, n_samples, rng)
    mix = _filter(mix, curves["brightness"])
    mix = _add_room(mix, reverb, rng)
    # Set the level by the control alone, however many instruments the genre has.
    mix *= 1 / np.sqrt(np.mean(mix**2) + 1e-12)
    mix *= 10 ** (decibels(curves["loudness"]) / 20)
    fade = np.minimum(1, np.minimum(at_sample / 0.01, at_sample[::-1] / 0.05))
    return (PEAK * np.tanh(mix / PEAK) * fade).astype(np.float32)


def decibels(loudness: np.ndarray) -> np.ndarray:
    """Convert the control `loudness` to a level re full scale: -35 dB to -13 dB."""
    return -24 + 11 * loudness


def roughness_of(consonance: np.ndarray) -> np.ndarray:
    """Convert the control `consonance` to roughness in [0, 1]; it is 0 from 0.4 upwards."""
    return np.clip((0.4 - consonance) / 1.2, 0, 1)


def render_tone(
    instrument: Instrument, frequency: float, seconds: float, detuning: float,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Render one tone at full strength, without its release.

    Parameters
    ----------
    instrument : Instrument
        Timbre of the tone.
    frequency : float
        Frequency in Hz.
    seconds : float
        Duration in seconds.
    detuning : float
        Detuning of the second voice in cents, in addition to the instrument's own spread.
    rng : numpy.random.Generator
        Random generator for the breath noise.

    Returns
    -------
    numpy.ndarray
        Shape (round(seconds * 44100),), float32.
    """
    n_samples = round(seconds * SAMPLE_RATE)
    time = np.arange(n_samples) / SAMPLE_RATE
    cents = instrument.vibrato * np.sin(2 * np.pi * 5.3 * time) * np.minimum(1, time / 0.4)
    # For a few cents exp(x) is about 1 + x, so the phase is a plain sum.
    cycles = frequency * np.cumsum(1 + cents * (np.log(2) / 1200)) / SAMPLE_RATE
    width = instrument.spread + detuning
    periods = _render_periods(instrument, frequency, seconds * 2 ** (width / 1200) + 0.01)
    tone = _read_periods(periods, cycles)
    tone += 0.7 * _read_periods(periods, cycles * 2 ** (width / 1200) + 0.37)
    if instrument.drive:
        tone = np.tanh(instrument.drive * tone)
    if instrument.breath:
        tone += instrument.breath * rng.standard_normal(n_samples, dtype=np.float32)
    tone *= np.minimum(1, time / instrument.attack).astype(np.float32)
    return instrument.gain * tone


def _render_periods(instrument: Instrument, frequency: float, seconds: float) -> np.ndarray:
    """Render a tone as consecutive periods of equal length, shape (periods, samples).

    All harmonics start at phase zero. Each period therefore begins and ends at zero, and
    harmonics can change from one period to the next without a jump.
    """
    n_harmonics = max(1, min(instrument.harmonics, int(0.45 * SAMPLE_RATE / frequency)))
    number = np.arange(1, n_harmonics + 1)
    strength = number**-instrument.slope * np.where(number % 2 == 0, instrument.even, 1.0)
    strength /= np.sqrt(np.sum(strength**2))
    start = np.arange(int(np.ceil(seconds * frequency)) + 2)[:, None] / frequency
    decay = np.exp(-start * (instrument.fading + instrument.damping * number))
    n_samples = 128 if n_harmonics <= 20 else 256
    spectrum = np.zeros((len(start), n_samples // 2 + 1), dtype=np.complex64)
    spectrum[:, 1 : n_harmonics + 1] = -0.5j * n_samples * strength * decay
    return np.fft.irfft(spectrum, n=n_samples).astype(np.float32)


def _read_periods(periods: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    position = cycles * periods.shape[1]
    whole = position.astype(np.int64)
    part = (position - whole).astype(np.float32)
    table = periods.ravel()
    left = table[whole]
    return left + part * (table[whole + 1] - left)


def _place_tones(
    notes: list[Note], harshness: np.ndarray, n_samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Place each note; render each pitch of an instrument once per degree of detuning."""
    groups: dict[tuple[str, int, int], list[Note]] = {}
    for note in notes:
        degree = round(3 * harshness[int(note.start * CONTROL_RATE)])
        groups.setdefault((note.instrument, note.pitch, degree), []).append(note)
    mix = np.zeros(n_samples, dtype=np.float32)
    for (name, pitch, degree), group in groups.items():
        instrument = INSTRUMENTS[name]
        longest = max(note.duration for note in group) + instrument.release
        frequency = 440 * 2 ** ((pitch - 69 + 0.12 * degree * rng.uniform(-1, 1)) / 12)
        tone = render_tone(instrument, frequency, longest, 14.0 * degree, rng)
        fall = np.linspace(1, 0, round(instrument.release * SAMPLE_RATE), dtype=np.float32) ** 2
        for note in group:
            held = round(note.duration * SAMPLE_RATE)
            played = note.strength * tone[: held + len(fall)]
            played[held:] *= fall[: len(played) - held]
            _add_at(mix, played, note.start)
    return mix


def _place_drums(notes: list[Note], n_samples: int, rng: np.random.Generator) -> np.ndarray:
    mix = np.zeros(n_samples, dtype=np.float32)
    sounds = {name: _render_drum(name, rng) for name in DRUM_SECONDS}
    for note in notes:
        _add_at(mix, note.strength * sounds[note.instrument], note.start)
    return mix


def _render_drum(name: str, rng: np.random.Generator) -> np.ndarray:
    """Render a drum stroke: a falling tone for skins, filtered noise for metal and snares."""
    from scipy.signal import butter, sosfilt

    time = np.arange(round(DRUM_SECONDS[name] * SAMPLE_RATE)) / SAMPLE_RATE
    noise = rng.standard_normal(len(time))
    if name == "kick":
        sound = np.sin(2 * np.pi * (48 * time + 3.2 * (1 - np.exp(-time * 32)))) * np.exp(
            -11 * time
        )
    elif name == "timpani":
        sound = np.sin(2 * np.pi * (82 * time + 0.3 * (1 - np.exp(-time * 20)))) * np.exp(-4 * time)
    elif name == "snare":
        band = sosfilt(butter(2, (900, 8000), "bandpass", fs=SAMPLE_RATE, output="sos"), noise)
        sound = band * np.exp(-16 * time) + 0.6 * np.sin(2 * np.pi * 185 * time) * np.exp(
            -22 * time
        )
    else:
        low, fall = {"hat": (7000, 70), "shaker": (5000, 45), "cymbal": (4000, 3)}[name]
        sound = sosfilt(butter(2, low, "highpass", fs=SAMPLE_RATE, output="sos"), noise)
        sound = sound * np.exp(-fall * time)
    sound *= np.minimum(1, time / 0.002) * np.minimum(1, time[::-1] / 0.02)
    return (DRUM_GAINS[name] * sound).astype(np.float32)


def _add_at(mix: np.ndarray, sound: np.ndarray, start_s: float) -> None:
    begin = round(start_s * SAMPLE_RATE)
    room = mix[begin : begin + len(sound)]
    room += sound[: len(room)]


def _roughen(tones: np.ndarray, roughness: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add beats at 62 Hz, where hearing is most sensitive to roughness, overdrive and noise."""
    level = np.sqrt(np.mean(tones**2)) + 1e-9
    phase = np.arange(len(tones), dtype=np.float32) * np.float32(62 / SAMPLE_RATE) % 1
    beating = 1 - 0.55 * roughness * (0.5 + 0.5 * np.sin(2 * np.pi * phase))
    driven = 1.2 * level * np.tanh(1.5 * tones / level)
    rough = (tones + roughness * (driven - tones)) * beating
    hiss = rng.standard_normal(len(tones), dtype=np.float32)
    return rough + 0.15 * roughness * np.abs(rough) * hiss


def _filter(mix: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """Apply a time-varying low-pass filter, 600 Hz (dark) to 11 kHz, blended from fixed filters."""
    from scipy.signal import butter, sosfilt

    octaves = np.log2(2600 / CUTOFFS[0]) + 2.1 * brightness
    swept = np.zeros_like(mix)
    for place, cutoff in enumerate(CUTOFFS):
        weight = np.clip(1 - np.abs(octaves - place), 0, 1)
        if weight.any():
            sos = butter(1, cutoff, fs=SAMPLE_RATE, output="sos").astype(np.float32)
            swept += weight * sosfilt(sos, mix)
    return swept


def _add_room(mix: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Convolve with decaying noise, which is the response of a diffuse room."""
    from scipy.signal import butter, oaconvolve, sosfilt

    time = np.arange(round(1.4 * SAMPLE_RATE)) / SAMPLE_RATE
    response = rng.standard_normal(len(time)) * np.exp(-time * 4.5) * np.minimum(1, time / 0.02)
    sos = butter(1, (180, 5000), "bandpass", fs=SAMPLE_RATE, output="sos")
    response = sosfilt(sos, response)
    response /= np.sqrt(np.sum(response**2))
    wet = oaconvolve(mix, response.astype(np.float32))[: len(mix)]
    return (1 - 0.5 * share) * mix + share * wet


def _smooth(curve: np.ndarray) -> np.ndarray:
    """Average over half a second, with the ends held, so that changes are never abrupt."""
    window = np.hanning(round(CONTROL_RATE / 2) + 2)[1:-1]
    padded = np.pad(curve, len(window) // 2, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="same")[
        len(window) // 2 : len(window) // 2 + len(curve)
    ]
