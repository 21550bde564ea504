"""Whatever a config or a table holds, a user meets a result or a sentence, never a traceback."""

from __future__ import annotations

import copy
import datetime
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotrace.audio.frames import FrameGrid
from emotrace.config.corpora import EmoMusicCorpus, ManifestCorpus
from emotrace.config.loading import check_blocks, load_config
from emotrace.config.planning import check_drawn_clips, plan_run
from emotrace.config.schema import Config
from emotrace.corpora.checks import find_problems
from emotrace.corpora.corpus import BaseCorpus
from emotrace.corpora.emomusic import LABEL_FILES
from emotrace.corpora.files import FILES
from emotrace.corpora.listing import LISTING, digest_listing, find_changes, list_files
from emotrace.runtime.disks import check_store_folder
from emotrace.runtime.errors import EmotraceError
from tests.test_emomusic import LABELS, SONGS

LONGEST = 5000
"""Letters of a message."""

TEXTS = ["", "~nosuchuser/x", "~", "a\0b", "\ud800", "a" * 10_000, "/dev/null", "/", ".", "{x}"]
TEXTS += ["LSTM_064", "LSTM_²", "LSTM_1٣", "LSTM_99999", "Transformer_999", "AT_" + "9" * 5000]
TEXTS += ["AT_64", "AT", "compare", "chroma", "demo", "manifest", "emomusic", "local", "tls://"]
TEXTS += ["tcp://[::1]:99999", "1e999", "-0", "nan", "٣", "<(cat)", "%s", "{message}", "\n", "🎵"]

NUMBERS = [0, -1, 2**31, 2**63, 10**400, 1e20, 1e308, 5e-324, -0.0, math.inf, math.nan]

fuzz = partial(
    settings,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def nest(value: Any) -> Any:
    """Do as YAML's aliases, which say thousands of times the same in a few lines."""
    for _ in range(15):
        value = [value, value]
    return value


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.dates(max_value=datetime.date(2100, 1, 1)),
    st.builds(nest, st.just("x")),
)
keys = scalars.filter(lambda value: not isinstance(value, list))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


def list_keys(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List where something stands in a config, blocks and lists included."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from list_keys(value, (*above, key))


def list_configs() -> list[dict[str, Any]]:
    config = Config().model_dump(mode="json")
    config["overrides"] = {"AT_64": {"dropout": 0.1}, "LSTM": {}}
    config["features"]["overrides"] = {"compare": {"window_s": 1}}
    files = {"clips": "clips.csv", "annotations": "annotations.csv"}
    return [
        config,
        config | {"corpus": EmoMusicCorpus().model_dump(mode="json") | {"path": "."}},
        config | {"corpus": ManifestCorpus(**files).model_dump(mode="json")},
    ]


CONFIGS = list_configs()


@st.composite
def change_config(draw: st.DrawFn) -> dict[str, Any]:
    """Take a valid config and replace a few of its values, or add a key."""
    config = copy.deepcopy(draw(st.sampled_from(CONFIGS)))
    changed = draw(st.lists(st.sampled_from(list(list_keys(config))), min_size=1, max_size=3))
    for *above, key in sorted(changed, key=len, reverse=True):  # what lies deepest first
        place = config
        for step in above:
            place = place[step]
        is_new = isinstance(place, dict) and draw(st.integers(0, 4)) == 0
        place[draw(keys) if is_new else key] = draw(values)
    return config


def plan(raw: dict[str, Any]) -> None:
    """Ask what the Snakefile asks before the first job."""
    check_blocks(raw)
    found = load_config(raw)
    check_store_folder(found.store)
    corpus = found.corpus.load()
    corpus.list_inputs()
    corpus.measure_own_sources()
    check_drawn_clips(found)
    plan_run(found)
    digest_listing(corpus)
    corpus.digest_sources()


@pytest.fixture(scope="module", autouse=True)
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Work in a folder with two corpora: emoMusic's files, and two tables of one's own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("fuzz"))
        Path("clips.csv").write_bytes(CLIPS)
        Path("annotations.csv").write_bytes(ANNOTATIONS)
        Path("annotations").mkdir()
        Path("clips_45sec").mkdir()
        for song in ("2", "11"):
            Path("clips_45sec", f"{song}.mp3").touch()
        for name in LABEL_FILES.values():
            Path("annotations", name).write_text(LABELS, encoding="utf-8")
        Path("annotations/songs_info.csv").write_text(SONGS, encoding="utf-8")
        yield


CLIPS = b"clip_id,path,offset_s,split,artist\na,a.wav,0,development,x\nb,b.wav,1.5,evaluation,y\n"
ANNOTATIONS = b"clip_id,time_s,arousal,valence\na,0.0,0.1,-0.2\na,0.5,0.2,-0.1\nb,2.0,0.3,0.4\n"


TABLES = [Path("clips.csv"), Path("annotations.csv"), Path("annotations/songs_info.csv")]
TABLES += [Path("annotations", name) for name in LABEL_FILES.values()]


def end_in_words(function: Callable[..., Any], *arguments: Any) -> str:
    """Return the message with which a function refused, if it did; other errors go on."""
    try:
        function(*arguments)
    except EmotraceError as error:
        message = str(error)
        assert "\nhint: " in message
        message.encode()  # a terminal takes it
        return message
    return ""


@fuzz(max_examples=600)
@given(change_config())
def test_any_config_is_planned_or_refused_in_words(raw: dict[str, Any]) -> None:
    assert len(end_in_words(plan, raw)) < LONGEST


@fuzz(max_examples=100)
@given(st.dictionaries(keys | st.sampled_from(sorted(Config.model_fields)), values, max_size=4))
def test_anything_else_is_refused_in_words(raw: dict[Any, Any]) -> None:
    assert len(end_in_words(plan, raw)) < LONGEST


PIECES = [
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b";",
    b"\t",
    b" ",
    b"=",
    b"/",
    b"~",
]
PIECES += [
    b"nan",
    b"inf",
    b"1e308",
    b"-1e308",
    b"1e200",
    b"1e400",
    b"-1",
    b"9" * 5000,
    b"x" * 200_000,
    b"NA",
    b"..",
    b"\xc2\xb2",
]


@st.composite
def damage(draw: st.DrawFn, content: bytes) -> bytes:
    """Replace a few cells or stretches of a CSV file by others, or by nothing."""
    piece = st.sampled_from(PIECES) | st.binary(max_size=4)
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            cells = re.split(b"([,\n])", content)
            cells[2 * draw(st.integers(0, len(cells) // 2))] = draw(piece)
            content = b"".join(cells)
        else:
            start = draw(st.integers(0, len(content)))
            end = start + draw(st.sampled_from([0, 1, 2, 7, len(content)]))
            content = content[:start] + draw(piece) + content[end:]
    return content


def load(config: dict[str, Any]) -> BaseCorpus:
    return load_config(config).corpus.load()


def read_tables(corpus: BaseCorpus) -> None:
    clips, annotations = corpus.read()
    clips = clips.assign(problem="", duration_s=10.0)
    find_problems(clips, annotations, FrameGrid(window_s=0.5, hop_s=0.5))


@fuzz(max_examples=400)
@given(st.data())
def test_a_damaged_table_of_a_corpus_is_read_or_refused_in_words(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(TABLES))
    whole = path.read_bytes()
    path.write_bytes(data.draw(damage(whole)))
    corpus = load(CONFIGS[1 if "annotations" in path.parts else 2])
    try:
        for function in (list_files, digest_listing, read_tables):
            end_in_words(function, corpus)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("offset_s", [b"1e308", b"-1e200", b"inf", b"nan"])
def test_a_time_that_no_music_has_is_refused(offset_s: bytes) -> None:
    whole = Path("clips.csv").read_bytes()
    Path("clips.csv").write_bytes(whole.replace(b"1.5", offset_s))
    told = end_in_words(list_files, load(CONFIGS[2]))
    Path("clips.csv").write_bytes(whole)
    assert f"clips.csv, line 3, column 'offset_s': found '{offset_s.decode()}', expected" in told


@fuzz(max_examples=200)
@given(st.data())
def test_damaged_notes_about_the_audio_are_read_or_taken_for_none(data: st.DataObject) -> None:
    corpus = load(CONFIGS[2])
    audio = [[*file, "", "0" * 64] for file in list_files(corpus)]
    header = "clip_id,path,offset_s,size,mtime_ns,problem,sha256"
    rows = "".join(f"{','.join(map(str, row))}\n" for row in [header.split(","), *audio])
    FILES.parent.mkdir(parents=True, exist_ok=True)
    notes = {FILES: rows.encode(), LISTING: b"0123456789abcdef\n"}
    for path, content in notes.items():
        path.write_bytes(data.draw(st.just(content) | damage(content)))
    try:
        digest_listing(corpus)
        find_changes(corpus)
    finally:
        for path in notes:
            path.unlink()
