"""Schema of the config, with one description per field.

``config.yaml`` and ``config.schema.json`` are generated from these models by
``python -m emotrace.config.generated_files``. The blocks of corpora are in
`emotrace.config.corpora`; `emotrace.config.loading` reads a config.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from emotrace.config.block import (
    PathText,
    Settings,
    derive_block,
    make_error,
    refuse_markup,
    refuse_name,
)
from emotrace.config.corpora import AnyCorpus, DemoCorpus
from emotrace.config.suggestions import explain_model
from emotrace.features import list_feature_sets
from emotrace.models.families import MOST_LAYERS, MOST_UNITS, parse_model_name
from emotrace.splits.protocol import Protocol
from emotrace.training import settings as training

MOST_ITEMS = 1000
"""Largest number of items in a list."""

CLUSTERS = ("local", "slurm")
"""Clusters on which clips can be computed, besides the address of a Dask scheduler."""


def _check_cluster(cluster: str) -> str:
    address = re.fullmatch(r"[a-z]+://[^/\s]+:([0-9]{1,5})", cluster)
    if cluster not in CLUSTERS and not (address and int(address[1]) < 2**16):
        raise ValueError("expected local, slurm or an address such as tls://HOST:8786")
    return cluster


class FeatureOverride(Settings):
    """What one feature set does in its own way."""

    window_s: float = Field(
        gt=0.05, le=60, description="Seconds of audio that each of its frames describes."
    )


class FeatureSettings(Settings):
    """How audio is cut into frames."""

    window_s: float = Field(
        0.5, gt=0.05, le=60, description="Seconds of audio that each frame describes."
    )
    hop_s: float = Field(
        0.5,
        gt=0.05,
        le=60,
        description="Seconds between two frames; annotations must lie on multiples of it.",
    )
    overrides: dict[str, FeatureOverride] = Field(
        {}, description="Windows of single feature sets, such as {compare: {window_s: 1.0}}."
    )


class RunBlock(Settings):
    """Feature sets and models, each combined with each."""

    feature_sets: list[str] = Field(
        min_length=1,
        max_length=MOST_ITEMS,
        description="Names of feature sets: the files in emotrace/features/sets.",
    )
    models: list[str] = Field(
        min_length=1,
        max_length=MOST_ITEMS,
        description="Names of models: a family (a file in emotrace/models) and its sizes, "
        f"{MOST_LAYERS} layers of {MOST_UNITS} units at most.",
    )

    @model_validator(mode="after")
    def _check_names(self) -> RunBlock:
        for number, name in enumerate(self.feature_sets):
            if name not in list_feature_sets():
                refuse_name(("feature_sets", number), name, list_feature_sets(), "feature set")
        for number, name in enumerate(self.models):
            try:
                parse_model_name(name)
            except ValueError:
                raise make_error(("models", number), explain_model(name)) from None
        return self


ProtocolSettings = derive_block("ProtocolSettings", Protocol)
TrainingSettings = derive_block("TrainingSettings", training.TrainingSettings)


class EvaluationSettings(Settings):
    """What the tables compare, and how sure they are."""

    feature_set: str = Field(
        "compare", description="Feature set of the model-selection tables and of the figures."
    )
    baseline: str = Field(
        "LSTM_64", description="Model that the best one is compared with; LSTM_400 in the paper."
    )
    bootstrap_samples: int = Field(
        2000,
        ge=100,
        le=10_000,
        description="Resamplings of the clips behind each 95 % interval.",
    )


ClipId = Annotated[str, AfterValidator(partial(unicodedata.normalize, "NFC"))]


class FigureSettings(Settings):
    """What is drawn."""

    # Ids that are numbers may be written without quotation marks.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    clips: list[ClipId] = Field(
        [],
        max_length=6,
        description="Up to six clips to draw, by clip_id; where empty, four evaluated clips spread "
        "over the plane of arousal and valence.",
    )


class Config(Settings):
    """One experiment."""

    experiment: Annotated[str, AfterValidator(refuse_markup)] = Field(
        "demo",
        min_length=1,
        max_length=200,
        description="Name of the experiment, as the tables print it; without < and >.",
    )
    corpus: AnyCorpus = Field(DemoCorpus(), description="The music and its annotations.")
    store: PathText = Field(
        "store",
        description="Folder in which features and trained models are kept for later runs; "
        "experiments and users may share one.",
    )
    features: FeatureSettings = Field(
        FeatureSettings(), description="How audio is cut into frames."
    )
    runs: list[RunBlock] = Field(
        [
            RunBlock(
                feature_sets=["compare"],
                models=[
                    "LSTM_64",
                    "AT_64",
                    "UniformAT_64",
                    "BiLSTM_64",
                    "BAT_64",
                    "TwoLevel_64",
                    "Transformer_1",
                ],
            ),
            RunBlock(feature_sets=["chroma", "cqt", "chroma_cqt", "spectral"], models=["AT_64"]),
        ],
        min_length=1,
        max_length=MOST_ITEMS,
        description="What is trained: in each block, every feature set with every model.",
    )
    protocol: ProtocolSettings = Field(
        ProtocolSettings(), description="Which clips are trained on and which are tested."
    )
    # Tables store seeds in 32 bits.
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(
        [1, 2],
        min_length=1,
        max_length=MOST_ITEMS,
        description="Each seed trains every model again; tables score the mean prediction.",
    )
    training: TrainingSettings = Field(TrainingSettings(), description="How weights are found.")
    new_torch_retrains: bool = Field(
        False, description="Whether another version of torch trains all models again."
    )
    dask_cluster: Annotated[str, AfterValidator(_check_cluster)] = Field(
        "local",
        description="Where clips are computed: local, processes of the job; slurm, jobs that "
        "dask-jobqueue submits; or the address of a Dask scheduler, such as tls://HOST:8786.",
    )
    dask_network_is_trusted: bool = Field(
        False,
        description="Whether dask_cluster may be a scheduler without certificates (tcp://); "
        "anyone who can reach it can run code as you.",
    )
    gpu_slots: int = Field(
        1,
        ge=1,
        le=64,
        description="Training jobs that may share one GPU; several small models can.",
    )
    overrides: dict[str, TrainingSettings] = Field(
        {},
        description="Training settings of single models or families, such as "
        "{AT_64: {dropout: 0.3}, Transformer: {learning_rate: 0.001}}.",
    )
    evaluation: EvaluationSettings = Field(
        EvaluationSettings(), description="What the tables compare."
    )
    figures: FigureSettings = Field(FigureSettings(), description="What is drawn.")

    @model_validator(mode="after")
    def _check_references(self) -> Config:
        feature_set, baseline = self.evaluation.feature_set, self.evaluation.baseline
        runs = self.list_runs()
        feature_sets = sorted({name for name, _ in runs})
        if feature_set not in feature_sets:
            refuse_name(
                ("evaluation", "feature_set"), feature_set, feature_sets, "feature set in runs"
            )
        models = [model for name, model in runs if name == feature_set]
        if baseline not in models:
            kind = f"model in runs on {feature_set}"
            refuse_name(("evaluation", "baseline"), baseline, models, kind)
        for name in self.features.overrides:
            if name not in feature_sets:
                below = ("features", "overrides", name)
                refuse_name(below, name, feature_sets, "feature set in runs")
        used = {model for _, model in runs}
        targets = sorted(used | {parse_model_name(model)[0] for model in used})
        for name in self.overrides:
            if name not in targets:
                refuse_name(("overrides", name), name, targets, "model or family in runs")
        if len(set(self.seeds)) < len(self.seeds):
            raise PydanticCustomError(
                "repeated", "each seed may be named once", {"below": ["seeds"]}
            )
        return self

    def list_runs(self) -> list[tuple[str, str]]:
        """Return every (feature set, model) to train, in the order of the config."""
        pairs = (
            (feature_set, model)
            for block in self.runs
            for feature_set in block.feature_sets
            for model in block.models
        )
        return list(dict.fromkeys(pairs))

    def frames_of(self, feature_set: str) -> dict[str, float]:
        """Return ``window_s`` and ``hop_s`` of a feature set, with overrides applied."""
        override = self.features.overrides.get(feature_set, self.features)
        return {"window_s": override.window_s, "hop_s": self.features.hop_s}

    def training_of(self, model: str) -> dict[str, Any]:
        """Return the training settings of a model, with overrides applied."""
        family, _ = parse_model_name(model)
        merged = self.training.model_dump(mode="json")
        for name in (family, model):
            if name in self.overrides:
                merged |= self.overrides[name].model_dump(mode="json", exclude_unset=True)
        return merged
