"""A digest changes with what code does, here or in what it imports, and with nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from textwrap import dedent
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotrace.features import list_feature_sets
from emotrace.features import recipe as features
from emotrace.models.families import list_families
from emotrace.reruns import code as code_module
from emotrace.reruns.code import check_code, digest_code
from emotrace.reruns.digests import digest_tables
from emotrace.reruns.recipe import Recipe, find_versions
from emotrace.runtime.errors import EmotraceError
from emotrace.training import recipe as training
from emotrace.training.recipe import list_code

REAL_ROOT = code_module.ROOT

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
            logger.info("a new kind: %s", kind)
            if not kind:
                raise ValueError(f"{kind}: is no kind" + " of pen")
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
def digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Digest:
    """Digest files below `tmp_path` as they are now."""
    read: dict[tuple[Path, bytes], Any] = {}

    def read_now(path: Path) -> Any:
        key = path, path.read_bytes()
        if key not in read:
            read[key] = code_module._parse_module(path)
        return read[key]

    monkeypatch.setattr(code_module, "ROOT", tmp_path)
    monkeypatch.setattr(code_module, "_read_module", read_now)
    return digest_code


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
        ("{kind}: is no kind", "expected a kind"),
        (" of pen", ""),
        ('"a new kind: %s"', '"kind %s"'),
        ("import numpy as np\n", 'import numpy as np\n\nFACTS = {"colour": "blue"}\n'),
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
        ("ValueError", "TypeError"),
        ("from emotrace.paper import pen", "from emotrace.desk import drawer as pen"),
        ("emotrace.kinds import Kind\n", "emotrace.kinds import Kind\nelse:\n    Kind = int\n"),
    ],
)
def test_logic_counts(tree: Path, digest: Digest, old: str, new: str) -> None:
    before = digest(SCRIPT)
    edit(tree, old, new)
    assert digest(SCRIPT) != before


def test_facts_count_in_the_module_that_reads_them(tree: Path, digest: Digest) -> None:
    edit(tree, "import numpy as np\n", "import numpy as np\n\nFACTS = {1: 2}\n")
    edit(tree, "np.pi", "np.pi * FACTS[1]")
    before = digest(SCRIPT)
    edit(tree, "FACTS = {1: 2}", "FACTS = {1: 3}")
    assert digest(SCRIPT) != before


@pytest.mark.parametrize("name", ["AT", "BAT"])
def test_the_facts_of_a_model_do_not_decide_its_fits(
    real_tree: Path, digest: Digest, name: str
) -> None:
    files = list_code(f"{name}_4")
    before = digest(*files)
    model = real_tree / "emotrace/models/AT.py"
    text = model.read_text(encoding="utf-8")
    model.write_text(text.replace('"attention": "clip",', '"most_sizes": 2,'), encoding="utf-8")
    assert model.read_text(encoding="utf-8") != text
    assert digest(*files) == before


def test_everything_imported_counts_and_nothing_else(tree: Path, digest: Digest) -> None:
    assert list_behind(tree, digest, SCRIPT) == set(IMPORTED)


def test_named_files_count_besides(tree: Path, digest: Digest) -> None:
    behind = list_behind(tree, digest, SCRIPT, "emotrace/elsewhere.py")
    assert behind == {*IMPORTED, "emotrace/elsewhere.py"}


IMPORTS = ("from emotrace.paper.cap import close", "from emotrace.late import end as close")


def test_which_import_binds_a_name_counts(tree: Path, digest: Digest) -> None:
    digests = set()
    for first, last in (IMPORTS, IMPORTS[::-1]):
        texts = (
            f"{first}\n{last}\n",
            f"if KEY:\n    {first}\nelse:\n    {last}\n",
            f"def one():\n    {first}\n\n\ndef two():\n    {last}\n",
        )
        for text in texts:
            (tree / SCRIPT).write_text(text, encoding="utf-8")
            digests.add(digest(SCRIPT))
    assert len(digests) == 6


def test_a_setting_counts_by_its_default_alone(tree: Path, digest: Digest) -> None:
    digests = []
    for field in ('3, description="Three.", le=5', '3, description="3."', "4"):
        (tree / SCRIPT).write_text(f"folds: int = setting({field})\n", encoding="utf-8")
        digests.append(digest(SCRIPT))
    assert digests[0] == digests[1] != digests[2]


def test_a_module_that_moves_is_still_the_same(tree: Path, digest: Digest) -> None:
    before = digest(SCRIPT)
    pen = tree / "emotrace/paper/pen.py"
    text = pen.read_text(encoding="utf-8").replace("from .", "from emotrace.paper.")
    text = text.replace("emotrace.paper. import", "emotrace.paper import")
    text = text.replace("emotrace.paper..desk", "emotrace.desk")
    (tree / "emotrace/tools").mkdir()
    (tree / "emotrace/tools/__init__.py").write_text('"""Tools."""', encoding="utf-8")
    (tree / "emotrace/tools/pen.py").write_text(text, encoding="utf-8")
    pen.unlink()
    edit(tree, "from emotrace.paper import pen", "from emotrace.tools import pen")
    drawer = tree / "emotrace/desk/drawer.py"
    drawer.write_text("from emotrace.tools import pen\nKEY = 6", encoding="utf-8")
    assert digest(SCRIPT) == before


def test_digest_does_not_depend_on_the_place_of_the_tree_or_the_order_of_names(
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
    monkeypatch.setattr(code_module, "ROOT", elsewhere)
    assert digest(*names) == here


# The tree of emotrace itself: reruns are as large as the change.


@pytest.fixture
def real_tree(tmp_path: Path) -> Path:
    for name in ("emotrace", "workflow_scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REAL_ROOT / name, tmp_path / name, ignore=ignored)
    return tmp_path


def name_modules(*names: str) -> set[str]:
    """Name the files of modules of the library, and those of their packages."""
    files = {f"emotrace/{name}.py" for name in names}
    packages = {parent for file in files for parent in Path(file).parents if parent.name}
    return files | {f"{package}/__init__.py" for package in packages}


def test_training_depends_on_training_code_alone(real_tree: Path, digest: Digest) -> None:
    script = "workflow_scripts/train_model.py"
    assert list_behind(real_tree, digest, script) == {
        script,
        *name_modules(
            *(f"models/{name}" for name in ("__init__", "families", "layers")),
            *(f"reruns/{name}" for name in ("checksums", "code", "digests", "recipe", "records")),
            "reruns/store",
            *(f"runtime/{name}" for name in ("disks", "errors", "jobs", "locks", "paths")),
            *(f"splits/{name}" for name in ("feasibility", "folds", "groups", "labels")),
            *("runtime/settings", "splits/protocol", "splits/spelling", "training/settings"),
            *(
                f"training/{name}"
                for name in (
                    "checkpoint",
                    "devices",
                    "fitting",
                    "fold",
                    "fits",
                    "job",
                    "normalisation",
                    "recipe",
                    "sequences",
                    "weights",
                )
            ),
        ),
    }


def follow(write_recipe: Callable[[], Recipe]) -> Digest:
    """Make of the code in a recipe a digest of the files as they are now."""

    def digest_now(*_: str) -> str:
        return write_recipe().code

    return digest_now


@pytest.mark.usefixtures("digest")
@pytest.mark.parametrize("name", list_feature_sets())
def test_kept_features_depend_on_what_computes_them_alone(real_tree: Path, name: str) -> None:
    frames = {"window_s": 0.5, "hop_s": 0.5}
    code = follow(lambda: features.write_recipe(name, frames))
    relatives = {name, *{"chroma_cqt": ["chroma", "cqt"]}.get(name, [])}
    own = {"musicnn": ("musicnn_network", "musicnn_weights")}.get(name, ())
    behind = list_behind(real_tree, code) | {"emotrace/features/sets/__init__.py"}
    assert behind == name_modules(
        *("audio/decoding", "audio/frames", "runtime/errors", "runtime/threads"),
        *(f"features/{module}" for module in ("clip", "sound", *own)),
        *(f"features/sets/{relative}" for relative in relatives),
    )


@pytest.mark.usefixtures("digest")
@pytest.mark.parametrize("name", list_families())
def test_kept_fits_depend_on_what_makes_them_alone(real_tree: Path, name: str) -> None:
    code = follow(lambda: training.write_recipe(f"{name}_4", {}, new_torch_retrains=False))
    related = {
        "BAT": ["AT"],
        "TwoLevel": ["BiLSTM"],
        "UniformTwoLevel": ["TwoLevel", "BiLSTM"],
    }
    relatives = {name, *related.get(name, [])}
    assert list_behind(real_tree, code) == name_modules(
        *(f"models/{module}" for module in ("layers", *relatives)),
        *(f"training/{module}" for module in ("fitting", "fold", "normalisation", "weights")),
    )


@pytest.mark.parametrize(
    "folder", ["training", "models", "evaluation", "figures", "splits", "features/sets"]
)
def test_extraction_does_not_depend_on_what_follows_it(
    real_tree: Path, digest: Digest, folder: str
) -> None:
    script = "workflow_scripts/extract_features.py"
    assert not list_behind(real_tree / "emotrace" / folder, digest, script)


def test_extraction_depends_on_the_table_of_files_and_no_corpus(
    real_tree: Path, digest: Digest
) -> None:
    folder = real_tree / "emotrace/corpora"
    behind = list_behind(folder, digest, "workflow_scripts/extract_features.py")
    assert behind == {"__init__.py", "exclusion.py", "files.py"}


def test_a_corpus_depends_on_no_other_and_its_tables_on_no_synthesiser(
    real_tree: Path, digest: Digest
) -> None:
    folder = real_tree / "emotrace/corpora"
    script = "workflow_scripts/build_corpus.py"
    shared = {"__init__.py", "checks.py", "corpus.py", "exclusion.py", "files.py", "text_table.py"}
    for name, more in {
        "demo": {"demo_names.py", "manifest.py"},
        "emomusic": {"download.py"},
        "manifest": set(),
    }.items():
        behind = list_behind(folder, digest, script, f"emotrace/corpora/{name}.py")
        assert behind == {*shared, f"{name}.py", *more}
    behind = list_behind(folder, digest, "workflow_scripts/synthesise_demo.py")
    assert {path.removeprefix("demo_") for path in behind} == {
        *("__init__.py", "composer.py", "music.py", "names.py", "synthesiser.py")
    }


def test_inspection_depends_on_what_decodes_alone(real_tree: Path, digest: Digest) -> None:
    behind = list_behind(real_tree, digest, "emotrace/corpora/inspection.py")
    names = ("corpora/inspection", "corpora/truncation", "audio/decoding", "runtime/errors")
    assert behind == name_modules(*names)


def test_a_recipe_tells_settings_and_libraries_apart() -> None:
    settings = {"dropout": 0.1}
    plain = training.write_recipe("AT_4", settings, new_torch_retrains=False)
    assert plain.libraries == {}
    torch = training.write_recipe("AT_4", settings, new_torch_retrains=True)
    assert torch == replace(plain, libraries={"torch": metadata.version("torch")})
    compare = features.write_recipe("compare", {"window_s": 1.0, "hop_s": 0.5})
    assert compare.settings == {"window_s": 1.0, "hop_s": 0.5}
    assert {"opensmile", "av", "soxr"} <= compare.libraries.keys()
    assert len({recipe.key for recipe in (plain, torch, compare)}) == 3


def test_versions_are_those_installed() -> None:
    assert find_versions("numpy", "no-such-thing") == {
        "numpy": metadata.version("numpy"),
        "no-such-thing": "absent",
    }


def test_code_that_was_edited_after_planning_is_refused(tree: Path, digest: Digest) -> None:
    planned = digest(SCRIPT)
    edit(tree, "np.pi", "np.e")
    with pytest.raises(EmotraceError, match=r"compare: .* edited .*\nhint: "):
        check_code(planned, "compare", SCRIPT)


def test_a_process_knows_only_the_code_that_it_imported(tree: Path, digest: Digest) -> None:
    planned = digest(SCRIPT)
    check_code(planned, "compare", SCRIPT)
    edit(tree, "np.pi", "np.e")
    # What was planned before goes on; what was planned thereafter wants another process.
    check_code(planned, "compare", SCRIPT)
    with pytest.raises(EmotraceError, match=r"compare: .*worker.*\nhint: "):
        check_code(digest(SCRIPT), "compare", SCRIPT)
    with pytest.raises(EmotraceError, match="chroma: "):
        check_code(digest(SCRIPT, "emotrace/elsewhere.py"), "chroma", SCRIPT)


def test_table_digest_depends_on_content_and_not_on_encoding(tmp_path: Path) -> None:
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
