"""What can be configured: one field, one description.

``config.yaml`` and ``config.schema.json`` are generated from these models by
``python -m emotrace.config_files``. Every config that the workflow reads goes
through `load_config`, which refuses what it does not know before any job starts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from emotrace.errors import EmotraceError
from emotrace.features import list_feature_sets
from emotrace.models import parse_model_name
from emotrace.suggestions import list_models_like, suggest


class Settings(BaseModel):
    """A block of the config; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _refuse_markup(text: str) -> str:
    found = [
        character
        for character in text
        if character in "<>" or unicodedata.category(character) in ("Cc", "Cs")
    ]
    if found:
        # Snakemake's report holds settings in a script, which </script> would end.
        raise ValueError(f"a text that the report shows cannot hold {found[0]!r}")
    return text


class CorpusSettings(Settings):
    """What every corpus has."""

    max_excluded: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of the clips that may be left out because they are broken; "
        "more than this stops the run.",
    )

    @field_validator("*")
    @classmethod
    def _check_texts(cls, value: Any) -> Any:
        return _refuse_markup(value) if isinstance(value, str) else value


class DemoCorpus(CorpusSettings):
    """Music synthesised by emotrace itself."""

    name: Literal["demo"] = Field("demo", description="The built-in demo corpus.")
    n_clips: int = Field(48, ge=6, le=999, description="How many clips to synthesise.")
    duration_s: float = Field(45.0, ge=6, le=600, description="Length of each clip in seconds.")
    seed: int = Field(2020, ge=0, description="Draws the music; another seed, other music.")


class EmoMusicCorpus(CorpusSettings):
    """The dataset "1000 Songs for Emotional Analysis of Music"."""

    name: Literal["emomusic"] = Field("emomusic", description="The emoMusic dataset.")
    path: str | None = Field(
        None,
        description="Folder with clips*/ID.mp3 and annotations/*.csv as published; "
        "downloaded into resources/emomusic where not given.",
    )
    annotations: str | None = Field(
        None, description="Folder of the annotations, where it is not PATH/annotations."
    )
    offset_s: float = Field(
        0.0,
        ge=0,
        description="Second of the annotations' time line at which each file begins: 0 for the "
        "published clips, 30 for excerpts cut from second 30 on.",
    )
    url: str = Field(
        "http://cvml.unige.ch/databases/emoMusic/",
        description="Where the published archives are downloaded from.",
    )


class ManifestCorpus(CorpusSettings):
    """Anyone's own corpus."""

    name: Literal["manifest"] = Field("manifest", description="A corpus of your own.")
    clips: str = Field(
        description="CSV file with the columns clip_id,path and optionally "
        "offset_s,split,artist,title,genre."
    )
    annotations: str = Field(
        description="CSV file with the columns clip_id,time_s,arousal,valence and optionally "
        "arousal_std,valence_std."
    )
    annotation_scale: tuple[float, float] = Field(
        (-1.0, 1.0), description="Lowest and highest value of the annotations' scale."
    )
    annotators: int | None = Field(
        None,
        ge=2,
        description="How many people annotated each clip: with the columns *_std, their sample "
        "standard deviations, it tells how well the labels can be predicted at all.",
    )

    @model_validator(mode="after")
    def _check_scale(self) -> ManifestCorpus:
        low, high = self.annotation_scale
        if not low < high:
            raise ValueError(f"annotation_scale must rise, but {low} is not below {high}")
        return self


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
        min_length=1, description="Names of feature sets: the files in emotrace/features/sets."
    )
    models: list[str] = Field(
        min_length=1,
        description="Names of models: a family (a file in emotrace/models) and its sizes.",
    )

    @model_validator(mode="after")
    def _check_names(self) -> RunBlock:
        for number, name in enumerate(self.feature_sets):
            if name not in list_feature_sets():
                _refuse(("feature_sets", number), name, list_feature_sets(), "feature set")
        for number, name in enumerate(self.models):
            try:
                parse_model_name(name)
            except ValueError:
                _refuse(("models", number), name, list_models_like(name), "model")
        return self


class ProtocolSettings(Settings):
    """Which clips are trained on and which are tested."""

    name: Literal["official", "artist", "paper"] = Field(
        "official",
        description="official: development against evaluation clips; artist: folds with no artist "
        "on both sides; paper: random folds whose tested part also stops the training, as "
        "published (optimistic).",
    )
    folds: int = Field(10, ge=2, description="How many folds artist and paper make.")
    validation_share: float = Field(
        0.2,
        gt=0,
        lt=0.9,
        description="Share of the training clips, by artists of its own, that stops the training "
        "and selects models (official and artist).",
    )


class TrainingSettings(Settings):
    """How the weights are found."""

    optimiser: Literal["adamw", "rmsprop"] = Field(
        "adamw", description="adamw, or rmsprop with the paper's constants."
    )
    learning_rate: float = Field(3e-4, gt=0, description="Step size; 0.001 in the paper.")
    weight_decay: float = Field(0.01, ge=0, description="Pull of the weights to 0; 0 in the paper.")
    dropout: float = Field(
        0.5, ge=0, lt=1, description="Share of values set to 0 while training; 0 in the paper."
    )
    feedback: bool = Field(
        True, description="Whether a model sees its own previous prediction (never the truth)."
    )
    batch_size: int = Field(5, ge=1, description="Clips per step; 20 in the paper.")
    max_epochs: int = Field(40, ge=1, description="Longest training; 50 in the paper.")
    patience: int = Field(
        12,
        ge=1,
        description="Epochs without improvement after which training ends; 5 in the paper.",
    )
    min_improvement: float = Field(
        1e-4, ge=0, description="Smallest fall of the validation error that is an improvement."
    )
    scaling: Literal["robust", "z_score"] = Field(
        "robust",
        description="robust: by median and 5 to 95 % range, for heavy-tailed features; z_score: by "
        "mean and standard deviation, as in the paper.",
    )
    feature_limit: float = Field(
        5.0, gt=0, description="Scaled features are clipped at this magnitude."
    )


class EvaluationSettings(Settings):
    """What the tables compare, and how sure they are."""

    feature_set: str = Field(
        "compare", description="Feature set of the model-selection tables and of the figures."
    )
    baseline: str = Field(
        "LSTM_64", description="Model that the best one is compared with; LSTM_400 in the paper."
    )
    bootstrap_samples: int = Field(
        2000, ge=100, description="Resamplings of the clips behind each 95 % interval."
    )


ClipId = Annotated[str, AfterValidator(partial(unicodedata.normalize, "NFC"))]


class FigureSettings(Settings):
    """What is drawn."""

    # Ids that are numbers may be written without quotation marks.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    clips: list[ClipId] = Field(
        [],
        description="Clips to draw, by clip_id; where empty, four evaluated clips spread over "
        "the plane of arousal and valence.",
    )


class Config(Settings):
    """One experiment."""

    experiment: Annotated[str, AfterValidator(_refuse_markup)] = Field(
        "demo",
        min_length=1,
        description="Name of the experiment, as the tables print it; without < and >.",
    )
    corpus: Annotated[DemoCorpus | EmoMusicCorpus | ManifestCorpus, Field(discriminator="name")] = (
        Field(DemoCorpus(), description="The music and its annotations.")
    )
    store: str = Field(
        "store",
        min_length=1,
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
        description="What is trained: in each block, every feature set with every model.",
    )
    protocol: ProtocolSettings = Field(
        ProtocolSettings(), description="Which clips are trained on and which are tested."
    )
    # Tables keep a seed in 32 bits.
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(
        [1, 2],
        min_length=1,
        description="Each seed trains every model anew; tables score the mean prediction.",
    )
    training: TrainingSettings = Field(TrainingSettings(), description="How weights are found.")
    new_torch_retrains: bool = Field(
        False, description="Whether another version of torch trains all models anew."
    )
    dask_cluster: str = Field(
        "local",
        min_length=1,
        description="Where clips are computed: local, processes of the job; slurm, jobs that "
        "dask-jobqueue submits; or the address of a Dask scheduler, such as tcp://HOST:8786.",
    )
    gpu_slots: int = Field(
        1, ge=1, description="Training jobs that may share one GPU; several small models can."
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
            _refuse(("evaluation", "feature_set"), feature_set, feature_sets, "feature set in runs")
        models = [model for name, model in runs if name == feature_set]
        if baseline not in models:
            kind = f"model that runs trains on {feature_set}"
            _refuse(("evaluation", "baseline"), baseline, models, kind)
        for name in self.features.overrides:
            if name not in feature_sets:
                below = ("features", "overrides", name)
                _refuse(below, name, feature_sets, "feature set in runs")
        used = {model for _, model in runs}
        targets = sorted(used | {parse_model_name(model)[0] for model in used})
        for name in self.overrides:
            if name not in targets:
                _refuse(("overrides", name), name, targets, "model or family in runs")
        if len(set(self.seeds)) < len(self.seeds):
            raise PydanticCustomError(
                "repeated", "each seed may be named once", {"below": ["seeds"]}
            )
        return self

    def list_runs(self) -> list[tuple[str, str]]:
        """Return every (feature set, model) that is trained, in the order of the config."""
        pairs = (
            (feature_set, model)
            for block in self.runs
            for feature_set in block.feature_sets
            for model in block.models
        )
        return list(dict.fromkeys(pairs))

    def frames_of(self, feature_set: str) -> dict[str, float]:
        """Return ``window_s`` and ``hop_s`` of a feature set, overrides applied."""
        override = self.features.overrides.get(feature_set, self.features)
        return {"window_s": override.window_s, "hop_s": self.features.hop_s}

    def training_of(self, model: str) -> dict[str, Any]:
        """Return the training settings of a model, overrides applied."""
        family, _ = parse_model_name(model)
        merged = self.training.model_dump(mode="json")
        for name in (family, model):
            if name in self.overrides:
                merged |= self.overrides[name].model_dump(mode="json", exclude_unset=True)
        return merged


def load_config(raw: Mapping[str, Any]) -> Config:
    """Check a config and fill in what it leaves to the defaults.

    Parameters
    ----------
    raw : mapping
        As read from YAML.

    Returns
    -------
    Config

    Raises
    ------
    EmotraceError
        Naming every key that is wrong, its value and the nearest valid one.
    """
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        lines = [_describe(detail) for detail in error.errors()]
        raise EmotraceError(
            "\n".join(["the config is not valid:", *lines]),
            hint="config.yaml explains every key",
        ) from None


def _refuse(below: tuple[str | int, ...], name: str, valid: Iterable[str], kind: str) -> NoReturn:
    message = f"{name!r} is no {kind}; {suggest(name, valid)}"
    # The message goes in as a value, because pydantic reads braces in a template.
    raise PydanticCustomError("unknown", "{message}", {"message": message, "below": list(below)})


BLOCKS: dict[str, type[Settings]] = {
    "demo": DemoCorpus,
    "emomusic": EmoMusicCorpus,
    "manifest": ManifestCorpus,
    "features": FeatureSettings,
    "features.overrides": FeatureOverride,
    "runs": RunBlock,
    "protocol": ProtocolSettings,
    "training": TrainingSettings,
    "overrides": TrainingSettings,
    "evaluation": EvaluationSettings,
    "figures": FigureSettings,
}
"""The block behind each key, and behind each kind of corpus."""


def _describe(detail: Mapping[str, Any]) -> str:
    path = list(detail["loc"])
    if path[:1] == ["corpus"]:
        kind = path.pop(1) if len(path) > 1 else "corpus"
    elif path[:2] == ["features", "overrides"] and len(path) > 2:
        kind = "features.overrides"
    else:
        kind = path[0] if len(path) > 1 else ""
    path += detail.get("ctx", {}).get("below", [])
    key = ".".join(str(part) for part in path)
    if detail["type"] == "extra_forbidden":
        valid = BLOCKS[kind].model_fields if kind in BLOCKS else Config.model_fields
        return f"  {key}: no such key (value {detail['input']!r}); {suggest(str(path[-1]), valid)}"
    if detail["type"] == "union_tag_invalid":
        tag = detail["ctx"]["tag"]
        return f"  {key}.name: {tag!r} is no corpus; {suggest(tag, CORPORA)}"
    if detail["type"] in ("unknown", "repeated"):
        return f"  {key}: {detail['msg']}"
    if detail["type"] == "string_type" and isinstance(detail["input"], int | float | date):
        return f"  {key}: YAML takes this for {detail['input']!r}; put it in quotation marks"
    return f"  {key}: {detail['msg']} (value {detail['input']!r})"


CORPORA = ("demo", "emomusic", "manifest")
