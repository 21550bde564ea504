"""A corpus is one file and its block of the config; nothing else knows which there are."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest
from pydantic_core import PydanticUndefined

from emotrace.config.corpora import CORPORA, CorpusSettings
from emotrace.config.loading import load_config
from emotrace.corpora.corpus import load_corpus
from tests.workflow import ROOT, copy_workflow, list_jobs, run_snakemake, succeed

REQUIRED = {"manifest": {"clips": "clips.csv", "annotations": "annotations.csv"}}
"""Settings without a default."""

TOY = '''
    """A toy corpus: beeps, of which nothing but the file names says how they feel."""

    from __future__ import annotations

    from dataclasses import dataclass
    from pathlib import Path

    from emotrace.corpora.corpus import BaseCorpus, find_source


    @dataclass(frozen=True)
    class Corpus(BaseCorpus):
        """Files named AROUSAL_VALENCE.wav.

        Parameters
        ----------
        folder : str
        """

        folder: str

        name = "toy"
        licence = "none"
        citation = "T. Oy, Journal of Beeps"
        annotators = 3

        def list_sources(self) -> list[str]:
            return [str(find_source(f"{self.folder}/README", "corpus.folder"))]

        def list_audio(self) -> list[tuple[str, str, float]]:
            return [(file.stem, str(file), 0.0) for file in sorted(Path(self.folder).glob("*.wav"))]

        def list_labels(self) -> list[tuple[str, str, str]]:
            splits = ["development", "development", "evaluation"]
            return [(clip, clip, splits[n % 3]) for n, (clip, *_) in enumerate(self.list_audio())]

        def read(self):
            import pandas as pd

            clips = pd.DataFrame(self.list_audio(), columns=["clip_id", "path", "offset_s"])
            clips[["artist", "split"]] = [label[1:] for label in self.list_labels()]
            rows = [
                (clip, time_s, *(float(value) / 8 + time_s / 4 for value in clip.split("_")))
                for clip in clips["clip_id"]
                for time_s in (0.0, 0.5, 1.0)
            ]
            annotations = pd.DataFrame(rows, columns=["clip_id", "time_s", "arousal", "valence"])
            unknown = {"arousal_std": float("nan"), "valence_std": float("nan")}
            return clips.assign(title="", genre=""), annotations.assign(**unknown)
'''

BLOCK = '''
class ToyCorpus(CorpusSettings):
    """Beeps."""

    name: Literal["toy"] = Field("toy", description="Beeps.")
    folder: PathText = Field(description="Folder of the beeps.")


'''


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_has_the_settings_and_the_defaults_of_its_block(name: str) -> None:
    corpus = load_config({"corpus": {"name": name, **REQUIRED.get(name, {})}}).corpus.load()
    assert type(corpus).__module__ == f"emotrace.corpora.{name}"
    assert corpus.name == name
    block = CORPORA[name].model_fields
    settings = {field.name: field.default for field in fields(corpus)}
    assert {"name", *CorpusSettings.model_fields, *settings} == block.keys()
    for key, default in settings.items():
        # A job may give fewer settings than the config has.
        assert default is MISSING or block[key].default in (default, PydanticUndefined)


@pytest.mark.parametrize("name", CORPORA)
def test_what_a_job_is_given_makes_the_same_corpus(name: str) -> None:
    corpus = load_config({"corpus": {"name": name, **REQUIRED.get(name, {})}}).corpus.load()
    again = load_corpus(corpus.table_settings)
    assert again.table_settings == corpus.table_settings
    assert again.audio_settings == corpus.audio_settings
    assert load_corpus(corpus.audio_settings).audio_settings == corpus.audio_settings


@pytest.mark.parametrize("name", CORPORA)
def test_corpora_import_nothing_heavy_and_no_pydantic(name: str) -> None:
    code = (
        f"import sys, emotrace.corpora.{name};"
        "sys.exit(str({'pydantic', 'numpy', 'pandas', 'requests'} & set(sys.modules) or ''))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert completed.stderr.strip() == ""


def test_a_new_corpus_is_one_file_and_its_block(tmp_path: Path) -> None:
    root = copy_workflow(tmp_path / "workflow")
    (root / "emotrace/corpora/toy.py").write_text(dedent(TOY), encoding="utf-8")
    schema = root / "emotrace/config/corpora.py"
    text, marker = schema.read_text(encoding="utf-8"), "CORPORA: dict["
    assert text.count(marker) == 1
    schema.write_text(text.replace(marker, f"{BLOCK.lstrip()}{marker}"), encoding="utf-8")
    write_beeps(tmp_path / "beeps")

    config = {"corpus": {"name": "toy", "folder": str(tmp_path / "beeps")}}
    run = tmp_path / "run"
    succeed(run_snakemake(run, "corpus", config=config, root=root))
    clips = pd.read_parquet(run / "results/corpus/clips.parquet")
    assert clips["clip_id"].tolist() == ["-3_4", "1_-5", "2_2"]
    assert clips["duration_s"].tolist() == [1.5] * 3
    annotations = pd.read_parquet(run / "results/corpus/annotations.parquet")
    assert annotations["valence"].tolist()[:6] == [0.5, 0.625, 0.75, -0.625, -0.5, -0.375]
    log = (run / "logs/build_corpus.log").read_text(encoding="utf-8")
    assert "please cite T. Oy, Journal of Beeps; licence: none" in log

    module = root / "emotrace/corpora/toy.py"
    module.write_text(module.read_text(encoding="utf-8").replace("/ 8", "/ 9"), encoding="utf-8")
    planned = succeed(run_snakemake(run, "corpus", "--dry-run", config=config, root=root))
    assert list_jobs(planned) == ["inspect_audio", "build_corpus"]


def write_beeps(folder: Path) -> None:
    import numpy as np
    import soundfile

    folder.mkdir()
    (folder / "README").write_text("Beeps.", encoding="utf-8")
    for number, name in enumerate(("1_-5", "2_2", "-3_4")):
        beep = np.sin(np.arange(66_150) * 0.05 * (number + 1)) / 2
        soundfile.write(folder / f"{name}.wav", beep, 44_100)
