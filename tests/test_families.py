"""A model's file says all that others must know of it: attention, controls, sizes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emotrace.config.suggestions import explain_model
from emotrace.evaluation.comparisons import name_controls
from emotrace.evaluation.diagnosis import build_attention_table
from emotrace.evaluation.published import name_kind
from emotrace.models import families
from emotrace.models.families import Family, list_families, parse_model_name, read_family
from emotrace.runtime.errors import EmotraceError
from tests.test_tables import DEMO, make_evaluation
from tests.workflow import copy_workflow, list_jobs, run_snakemake, succeed

TOY = '''"""Toy: BAT by another name."""

from emotrace.models import BAT

FACTS = {
    "attention": "past",
    "controls": {"LSTM": "without a context", "UniformAT": "with blinkers"},
    "most_sizes": 1,
    "largest_size": 32,
}


class Model(BAT.Model):
    """BAT."""
'''

RUNS = [{"feature_sets": ["compare"], "models": ["LSTM_4", "Toy_4", "UniformAT_4"]}]


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """A copy of the workflow with a model of one's own."""
    copy = copy_workflow(tmp_path / "workflow")
    (copy / "emotrace/models/Toy.py").write_text(TOY, encoding="utf-8")
    return copy


@pytest.fixture
def here(workflow: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the copy's models, which this process reads too."""
    monkeypatch.setattr(families, "FOLDER", workflow / "emotrace/models")
    read_family.cache_clear()
    yield families.FOLDER
    read_family.cache_clear()


def test_maps_are_drawn_only_for_attention_that_varies() -> None:
    attention = {name: read_family(name).attention for name in list_families()}
    assert {name: covered for name, covered in attention.items() if covered} == {
        "AT": "clip",
        "BAT": "past",
        "TwoLevel": "once",
    }


def test_a_new_attentive_model_is_planned_and_drawn(workflow: Path, tmp_path: Path) -> None:
    evaluation = {"feature_set": "compare", "baseline": "LSTM_4"}
    config = {"runs": RUNS, "seeds": [1], "evaluation": evaluation}
    arguments = ("tables", "figures", "--dry-run")
    jobs = list_jobs(succeed(run_snakemake(tmp_path, *arguments, config=config, root=workflow)))
    assert {"train_model compare Toy_4", "plot_attention_maps Toy", "plot_attended_frames"} <= {
        *jobs
    }


def test_a_new_attentive_model_can_be_built(workflow: Path) -> None:
    code = "from emotrace.models import build_model as build\n"
    code += "print(build('Toy_4', 3, dropout=0, feedback=True).recurrent.units)"
    command = [sys.executable, "-c", code]
    built = subprocess.run(command, cwd=workflow, capture_output=True, text=True, check=True)
    assert built.stdout.strip() == "4"


@pytest.mark.usefixtures("here")
def test_names_of_a_new_model_are_checked() -> None:
    sizes = "'Toy_33' is not a model: sizes of Toy are at most 32; did you mean Toy_32?"
    assert explain_model("Toy_33") == sizes
    assert explain_model("Tojy_9") == "'Tojy_9' is not a model; did you mean Toy_9?"


@pytest.mark.usefixtures("here")
def test_tables_know_a_new_attentive_model() -> None:
    assert parse_model_name("Toy_4") == ("Toy", (4,))
    assert name_controls("Toy_4") == ["LSTM_4", "UniformAT_4"]
    assert name_kind("Toy_4") == "Toy"
    runs = [("compare", model) for model in ("LSTM_4", "UniformAT_4", "Toy_4")]
    caption = build_attention_table(make_evaluation(runs), "arousal", DEMO).caption
    assert caption.startswith(
        "Does attention help, arousal? Attentive models on compare less those of the same sizes "
        "without a context (LSTM) and with blinkers (UniformAT), as far as they were trained; "
        "and less themselves with weights shuffled among the frames when tested. "
    )


@pytest.mark.parametrize(
    ("models", "less"),
    [
        (
            ("AT_4", "BAT_4", "TwoLevel_4"),
            "those of the same sizes with uniform weights (UniformAT, UniformTwoLevel), with two "
            "directions instead (BiLSTM) and without a context (LSTM), as far as they were "
            "trained; and less themselves with weights shuffled",
        ),
        (("BAT_4",), "those of the same sizes without a context (LSTM), as far as"),
        (("LSTM_4",), "themselves with weights shuffled"),
    ],
)
def test_the_caption_names_the_controls_of_the_models_compared(
    models: tuple[str, ...], less: str
) -> None:
    found = make_evaluation([("compare", "LSTM_8"), ("compare", models[0])])
    found.comparisons.drop(found.comparisons.index, inplace=True)
    for model in models:
        row = {"question": "attention", "target": "arousal", "feature_set": "compare"}
        row |= {"model": model, "other": "other", "p_adjusted": 0.5}
        for metric in ("r2_difference", "tau_difference"):
            row |= {metric: 0.0, f"{metric}_low": -0.1, f"{metric}_high": 0.1}
        found.comparisons.loc[len(found.comparisons)] = row
    caption = build_attention_table(found, "arousal", DEMO).caption
    assert f"Attentive models on compare less {less}" in caption


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ('"clip"', "is 'clip', expected a dictionary"),
        ('{"atention": "clip"}', "names 'atention', expected one of attention, controls, "),
        ('{"attention": "all"}', "has attention 'all', expected one of clip, past, once"),
        ('{"attention": ["clip"]}', r"has attention \['clip'\], expected one of clip, past, once"),
        ('{"controls": ("LSTM",)}', r"has controls \('LSTM',\), expected families and how"),
        ('{"controls": {"LSTN": "worse"}}', "has controls {'LSTN': 'worse'}, expected families"),
        ('{"most_sizes": 0}', "has most_sizes 0, expected a whole number from 1 on"),
        ('{"largest_size": True}', "has largest_size True, expected a whole number from 1 on"),
    ],
)
def test_wrong_facts_are_refused(here: Path, facts: str, expected: str) -> None:
    (here / "Toy.py").write_text(f"FACTS = {facts}\n", encoding="utf-8")
    with pytest.raises(EmotraceError, match=rf"/Toy\.py: FACTS {expected}.*\nhint: "):
        read_family("Toy")


def test_facts_that_are_computed_are_refused(here: Path) -> None:
    (here / "Toy.py").write_text("\nFACTS = dict(attention='clip')\n", encoding="utf-8")
    with pytest.raises(EmotraceError, match=r"/Toy\.py, line 2: FACTS is computed.*\nhint: "):
        read_family("Toy")


def test_a_file_without_facts_has_no_attention_and_no_controls(here: Path) -> None:
    (here / "Toy.py").write_text("", encoding="utf-8")
    assert read_family("Toy") == Family()


def test_facts_can_be_read_without_torch() -> None:
    code = "import sys\nfrom emotrace.models.families import *\n"
    code += "assert [read_family(name) for name in list_families()]\nprint('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == "False\n"
