"""A digest changes with what code does, here or in what it imports, and with nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from textwrap import dedent
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotrace import provenance
from emotrace.errors import EmotraceError
from emotrace.features import list_feature_sets
from emotrace.features.identity import identify_feature_set
from emotrace.models import list_families
from emotrace.provenance import digest_code, digest_tables, find_versions, refuse_changed_code
from emotrace.training.identity import identify_model

REAL_ROOT = provenance.ROOT

SCRIPT = "workflow_scripts/draw.py"

TREE = {
    SCRIPT: '''
        """Draw."""
        from typing import TYPE_CHECKING

        import numpy as np

        from emotrace.paper import pen

        if TYPE_CHECKING:
            from emotrace.kinds import Kind


        def main(kind: "Kind") -> None:
            """Draw on paper."""
            import emotrace.late as belated

            pen.draw(kind, np.pi)  # nearly
            belated.end()
    ''',
    "emotrace/__init__.py": "TARGETS = 2",
    "emotrace/kinds.py": "Kind = 3",
    "emotrace/late.py": "def end() -> None: ...",
    "emotrace/paper/__init__.py": "",
    "emotrace/paper/pen.py": """
        from . import ink
        from ..desk import lamp


        class Pen:
            def lift(self) -> None:
                from .cap import close

                close(ink, lamp)
    """,
    "emotrace/paper/ink.py": "from ..desk.drawer import KEY as key",
    "emotrace/paper/cap.py": "def close(ink: object, lamp: object) -> None: ...",
    "emotrace/paper/eraser.py": "USED = False",
    "emotrace/desk/__init__.py": "lamp = 5",
    "emotrace/desk/drawer.py": "from emotrace.paper import pen\nKEY = 6",
    "emotrace/elsewhere.py": "USED = False",
}

IMPORTED = [
    SCRIPT,
    "emotrace/__init__.py",
    "emotrace/late.py",
    "emotrace/paper/__init__.py",
    "emotrace/paper/pen.py",
    "emotrace/paper/ink.py",
    "emotrace/paper/cap.py",
    "emotrace/desk/__init__.py",
    "emotrace/desk/drawer.py",
]

Digest = Callable[..., str]


@pytest.fixture
def digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Digest]:
    """Digest files below `tmp_path` as they are now."""

    def digest_now(*files: str) -> str:
        provenance._read_module.cache_clear()
        return digest_code(*files)

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    yield digest_now
    provenance._read_module.cache_clear()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
    return tmp_path


def edit(tree: Path, old: str, new: str) -> None:
    script = tree / SCRIPT
    text = script.read_text(encoding="utf-8")
    assert old in text
    script.write_text(text.replace(old, new), encoding="utf-8")


def list_behind(root: Path, digest: Digest, *files: str) -> set[str]:
    """List the files of which an edit changes a digest, by editing each."""
    before = digest(*files)
    behind = set()
    for file in sorted(root.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        file.write_text(f"{text}\nEDITED = True\n", encoding="utf-8")
        if digest(*files) != before:
            behind.add(file.relative_to(root).as_posix())
        file.write_text(text, encoding="utf-8")
    assert digest(*files) == before
    return behind


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # nearly", ""),
        ("import numpy", "# A comment.\nimport numpy"),
        ('"""Draw."""', '"""Draw, but beautifully."""'),
        ('"""Draw on paper."""', '"""Draw\n\n    on\n    paper."""'),
        ('    """Draw on paper."""\n', ""),
        ("pen.draw(kind, np.pi)", "pen.draw(\n        kind,\n        (np.pi),\n    )"),
        ('kind: "Kind"', "kind: 'Kind'"),
        ("\n\n\n", "\n\n"),
        ("import Kind", "import Kind, Sort"),
        ("if TYPE_CHECKING:\n    from emotrace.kinds import Kind\n", ""),
        ("emotrace.kinds", "emotrace.elsewhere"),
    ],
)
def test_what_does_nothing_does_not_count(tree: Path, digest: Digest, old: str, new: str) -> None:
    before = digest(SCRIPT)
    edit(tree, old, new)
    assert digest(SCRIPT) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("np.pi", "np.e"),
        ("belated.end()", "belated.end"),
        ("def main(", "def start("),
        ("import numpy as np", "import scipy as np"),
        ("    pen.draw", "    if kind:\n        pen.draw"),
        ("np.pi", '"""Draw."""'),
        ("emotrace.kinds import Kind\n", "emotrace.kinds import Kind\nelse:\n    Kind = int\n"),
    ],
)
def test_logic_counts(tree: Path, digest: Digest, old: str, new: str) -> None:
    before = digest(SCRIPT)
    edit(tree, old, new)
    assert digest(SCRIPT) != before


def test_everything_imported_counts_and_nothing_else(tree: Path, digest: Digest) -> None:
    assert list_behind(tree, digest, SCRIPT) == set(IMPORTED)


def test_named_files_count_besides(tree: Path, digest: Digest) -> None:
    behind = list_behind(tree, digest, SCRIPT, "emotrace/elsewhere.py")
    assert behind == {*IMPORTED, "emotrace/elsewhere.py"}


def test_digest_is_blind_to_where_the_tree_lies_and_to_the_order_of_names(
    tree: Path,
    digest: Digest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    names = (SCRIPT, "emotrace/kinds.py", "emotrace/elsewhere.py")
    here = digest(*names)
    assert here == digest(*reversed(names))
    assert len(here) == 12
    elsewhere = tmp_path_factory.mktemp("copy") / "deep"
    shutil.copytree(tree, elsewhere)
    monkeypatch.setattr(provenance, "ROOT", elsewhere)
    assert digest(*names) == here


# The tree of emotrace itself: reruns are as large as the change.


@pytest.fixture
def real_tree(tmp_path: Path) -> Path:
    for name in ("emotrace", "workflow_scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REAL_ROOT / name, tmp_path / name, ignore=ignored)
    return tmp_path


def test_training_depends_on_training_code_alone(real_tree: Path, digest: Digest) -> None:
    assert list_behind(real_tree, digest, "workflow_scripts/train_model.py") == {
        "workflow_scripts/train_model.py",
        "emotrace/__init__.py",
        "emotrace/checksums.py",
        "emotrace/disks.py",
        "emotrace/errors.py",
        "emotrace/jobs.py",
        "emotrace/models/__init__.py",
        "emotrace/models/layers.py",
        "emotrace/provenance.py",
        "emotrace/store.py",
        *(
            f"emotrace/training/{name}.py"
            for name in (
                "__init__",
                "checkpoint",
                "devices",
                "fitting",
                "fold",
                "identity",
                "job",
                "normalisation",
                "protocols",
                "sequences",
                "store",
                "weights",
            )
        ),
    }


def follow(identify: Callable[[], dict[str, Any]]) -> Digest:
    """Make of the code in an identity a digest of the files as they are now."""

    def digest_now(*_: str) -> str:
        provenance._read_module.cache_clear()
        return identify()["code"]

    return digest_now


@pytest.mark.usefixtures("digest")
@pytest.mark.parametrize("name", list_feature_sets())
def test_kept_features_depend_on_what_computes_them_alone(real_tree: Path, name: str) -> None:
    frames = {"window_s": 0.5, "hop_s": 0.5}
    code = follow(lambda: identify_feature_set(name, frames))
    relatives = {name, *{"chroma_cqt": ["chroma", "cqt"]}.get(name, [])}
    own = {"musicnn": ("musicnn_network", "musicnn_weights")}.get(name, ())
    assert list_behind(real_tree, code) - {"emotrace/features/sets/__init__.py"} == {
        *(f"emotrace/{module}.py" for module in ("__init__", "audio", "errors", "frames", "mp3")),
        "emotrace/threads.py",
        *(f"emotrace/features/{module}.py" for module in ("__init__", "clip", "sound", *own)),
        *(f"emotrace/features/sets/{relative}.py" for relative in relatives),
    }


@pytest.mark.usefixtures("digest")
@pytest.mark.parametrize("name", list_families())
def test_kept_fits_depend_on_what_makes_them_alone(real_tree: Path, name: str) -> None:
    code = follow(lambda: identify_model(f"{name}_4", {}, new_torch_retrains=False))
    related = {
        "BAT": ["AT"],
        "TwoLevel": ["BiLSTM"],
        "UniformTwoLevel": ["TwoLevel", "BiLSTM"],
    }
    relatives = {name, *related.get(name, [])}
    assert list_behind(real_tree, code) == {
        "emotrace/__init__.py",
        *(f"emotrace/models/{module}.py" for module in ("__init__", "layers", *relatives)),
        *(
            f"emotrace/training/{module}.py"
            for module in ("__init__", "fitting", "fold", "normalisation", "weights")
        ),
    }


@pytest.mark.parametrize(
    "folder", ["training", "models", "evaluation", "explanation", "figures", "features/sets"]
)
def test_extraction_does_not_depend_on_what_follows_it(
    real_tree: Path, digest: Digest, folder: str
) -> None:
    script = "workflow_scripts/extract_features.py"
    assert not list_behind(real_tree / "emotrace" / folder, digest, script)


def test_extraction_depends_on_the_table_of_files_and_no_corpus(
    real_tree: Path, digest: Digest
) -> None:
    folder = real_tree / "emotrace/corpus"
    behind = list_behind(folder, digest, "workflow_scripts/extract_features.py")
    assert behind == {"__init__.py", "exclusion.py", "files.py"}


def test_examination_depends_on_what_decodes_alone(real_tree: Path, digest: Digest) -> None:
    names = ("__init__", "audio", "corpus/__init__", "corpus/examination", "corpus/truncation")
    names += ("errors", "mp3")
    behind = list_behind(real_tree, digest, "emotrace/corpus/examination.py")
    assert behind == {f"emotrace/{name}.py" for name in names}


def test_an_identity_tells_settings_and_libraries_apart() -> None:
    settings = {"dropout": 0.1}
    plain = identify_model("AT_4", settings, new_torch_retrains=False)
    assert plain["libraries"] == {}
    torch = identify_model("AT_4", settings, new_torch_retrains=True)
    assert torch == {**plain, "libraries": {"torch": metadata.version("torch")}}
    compare = identify_feature_set("compare", {"window_s": 1.0, "hop_s": 0.5})
    assert compare["frames"] == {"window_s": 1.0, "hop_s": 0.5}
    assert {"opensmile", "soundfile", "soxr"} <= compare["libraries"].keys()


def test_versions_are_those_installed() -> None:
    assert find_versions("numpy", "no-such-thing") == {
        "numpy": metadata.version("numpy"),
        "no-such-thing": "absent",
    }


def test_code_that_was_edited_after_planning_is_refused(tree: Path, digest: Digest) -> None:
    planned = digest(SCRIPT)
    edit(tree, "np.pi", "np.e")
    with pytest.raises(EmotraceError, match=r"compare: .* edited .*\nhint: "):
        refuse_changed_code(planned, "compare", SCRIPT)


def test_a_process_knows_only_the_code_that_it_imported(tree: Path, digest: Digest) -> None:
    planned = digest(SCRIPT)
    refuse_changed_code(planned, "compare", SCRIPT)
    edit(tree, "np.pi", "np.e")
    # What was planned before goes on; what was planned thereafter wants another process.
    refuse_changed_code(planned, "compare", SCRIPT)
    with pytest.raises(EmotraceError, match=r"compare: .*worker.*\nhint: "):
        refuse_changed_code(digest(SCRIPT), "compare", SCRIPT)
    with pytest.raises(EmotraceError, match="chroma: "):
        refuse_changed_code(digest(SCRIPT, "emotrace/elsewhere.py"), "chroma", SCRIPT)


def test_digest_of_tables_hangs_on_what_they_say_and_not_on_how(tmp_path: Path) -> None:
    frame = pd.DataFrame({"clip_id": ["é", "b", "c"], "x": [1.0, 2.0, 3.0]})
    digest = digest_tables(frame)
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=2)
    table = pq.read_table(tmp_path / "a.parquet")
    same = [
        pd.concat([frame[:1], frame[1:]]).set_index(pd.Index([7, 8, 9])),
        table,
        pa.concat_tables([table[:2], table[2:]]),
        pd.read_parquet(tmp_path / "a.parquet"),
    ]
    assert {digest_tables(table) for table in same} == {digest}
    others = [
        frame[::-1],
        frame.rename(columns={"x": "y"}),
        frame.astype({"x": "float32"}),
        frame.replace(2.0, 2.5),
        frame[["x", "clip_id"]],
    ]
    assert digest not in {digest_tables(table) for table in others}
    assert digest_tables(frame, frame) not in (digest, digest_tables(frame[:0], frame))
