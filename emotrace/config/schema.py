"""What can be configured: one field, one description.

``config.yaml`` and ``config.schema.json`` are generated from these models by
``python -m emotrace.config.generated_files``. Every config that the workflow reads goes
through `load_config`, which refuses what it does not know before any job starts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import date
from functools import partial, reduce
from operator import or_
from typing import Annotated, Any, Literal, NoReturn, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from emotrace.config.suggestions import explain_model, shorten, suggest
from emotrace.corpora.corpus import BaseCorpus, load_corpus
from emotrace.features import list_feature_sets
from emotrace.models.families import MOST_LAYERS, MOST_UNITS, parse_model_name
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.paths import expand_path
from emotrace.runtime.workers import check_scheduler
from emotrace.splits.protocol import Protocol
from emotrace.training import settings as training

MOST_MISTAKES = 20
"""Lines of a message about a config; more are only counted."""

MOST_ITEMS = 1000
"""Entries of a list."""

CLUSTERS = ("local", "slurm")
"""Where clips can be computed besides a Dask scheduler's address."""

Below = Sequence[str | int]
"""The keys that lead from a block to a mistake in it."""


def _check_path(path: str) -> str:
    expand_path(path)
    return path


PathText = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_check_path)]


def _check_cluster(cluster: str) -> str:
    address = re.fullmatch(r"[a-z]+://[^/\s]+:([0-9]{1,5})", cluster)
    if cluster not in CLUSTERS and not (address and int(address[1]) < 2**16):
        raise ValueError("expected local, slurm or an address such as tls://HOST:8786")
    return cluster


class Settings(BaseModel):
    """A block of the config; unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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
    """What every corpus has; each subclass is the block of a corpus."""

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

    def load(self) -> BaseCorpus:
        """Make the corpus; the other settings are those of its class, see `load_corpus`."""
        return load_corpus(self.model_dump(exclude=set(CorpusSettings.model_fields)))


class DemoCorpus(CorpusSettings):
    """Music synthesised by emotrace itself."""

    name: Literal["demo"] = Field("demo", description="The built-in demo corpus.")
    n_clips: int = Field(48, ge=6, le=999, description="How many clips to synthesise.")
    duration_s: float = Field(45.0, ge=6, le=600, description="Length of each clip in seconds.")
    seed: int = Field(
        2020, ge=0, lt=2**31, description="Draws the music; another seed, other music."
    )


class EmoMusicCorpus(CorpusSettings):
    """The dataset "1000 Songs for Emotional Analysis of Music"."""

    name: Literal["emomusic"] = Field("emomusic", description="The emoMusic dataset.")
    path: PathText | None = Field(
        None,
        description="Folder with clips*/ID.mp3 and annotations/*.csv as published; "
        "downloaded into resources/emomusic where not given.",
    )
    annotations: PathText | None = Field(
        None, description="Folder of the annotations, where it is not PATH/annotations."
    )
    offset_s: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="Second of the annotations' time line at which each file begins: 0 for the "
        "published clips, 30 for excerpts cut from second 30 on.",
    )
    url: str = Field(
        "http://cvml.unige.ch/databases/emoMusic/",
        description="Where the published archives are downloaded from; if the server asks for a "
        "password, put it into ~/.netrc.",
    )


ScaleEnd = Annotated[float, Field(ge=-1e6, le=1e6)]

SHORTEST_SCALE = 1e-3


class ManifestCorpus(CorpusSettings):
    """Anyone's own corpus."""

    name: Literal["manifest"] = Field("manifest", description="A corpus of your own.")
    clips: PathText = Field(
        description="CSV file with the columns clip_id,path and optionally "
        "offset_s,split,artist,title,genre."
    )
    annotations: PathText = Field(
        description="CSV file with the columns clip_id,time_s,arousal,valence and optionally "
        "arousal_std,valence_std."
    )
    annotation_scale: tuple[ScaleEnd, ScaleEnd] = Field(
        (-1.0, 1.0), description="Lowest and highest value of the annotations' scale."
    )
    annotators: int | None = Field(
        None,
        ge=2,
        le=10_000,
        description="How many people annotated each clip: with the columns *_std, their sample "
        "standard deviations, it tells how well the labels can be predicted at all.",
    )

    @model_validator(mode="after")
    def _check_scale(self) -> ManifestCorpus:
        low, high = self.annotation_scale
        if not low < high:
            raise ValueError(f"annotation_scale must rise, but {low} is not below {high}")
        if high - low < SHORTEST_SCALE:
            raise ValueError(f"annotation_scale must span at least {SHORTEST_SCALE}")
        return self


CORPORA: dict[str, type[CorpusSettings]] = {
    block.model_fields["name"].default: block for block in CorpusSettings.__subclasses__()
}
"""The block of each corpus, by its name; a block written above is here too."""

AnyCorpus = Annotated[reduce(or_, CORPORA.values()), Field(discriminator="name")]


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
                _refuse(("feature_sets", number), name, list_feature_sets(), "feature set")
        for number, name in enumerate(self.models):
            try:
                parse_model_name(name)
            except ValueError:
                raise _make_error(("models", number), explain_model(name)) from None
        return self


def derive_block(name: str, settings: type[Any]) -> type[Settings]:
    """Make a block of the config from plain settings, which jobs without pydantic use."""
    types = get_type_hints(settings)
    return create_model(
        name,
        __base__=Settings,
        __doc__=settings.__doc__,
        **{
            field.name: (types[field.name], Field(field.default, **field.metadata))
            for field in fields(settings)
        },
    )


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

    experiment: Annotated[str, AfterValidator(_refuse_markup)] = Field(
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
    # Tables keep a seed in 32 bits.
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(
        [1, 2],
        min_length=1,
        max_length=MOST_ITEMS,
        description="Each seed trains every model anew; tables score the mean prediction.",
    )
    training: TrainingSettings = Field(TrainingSettings(), description="How weights are found.")
    new_torch_retrains: bool = Field(
        False, description="Whether another version of torch trains all models anew."
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

    Examples
    --------
    >>> run = {"feature_sets": ["chroma"], "models": ["LSTM_64", "AT_64"]}
    >>> tables = {"feature_set": "chroma", "baseline": "LSTM_64"}
    >>> config = load_config({"runs": [run], "evaluation": tables})
    >>> config.list_runs()
    [('chroma', 'LSTM_64'), ('chroma', 'AT_64')]
    >>> config.frames_of("chroma")
    {'window_s': 0.5, 'hop_s': 0.5}
    """
    try:
        settings = Config.model_validate(raw)
    except ValidationError as error:
        raise _list_mistakes([_describe(detail) for detail in error.errors()]) from None
    check_scheduler(settings.dask_cluster, network_is_trusted=settings.dask_network_is_trusted)
    return settings


def check_blocks(overlay: Mapping[str, Any]) -> None:
    """Refuse ``{}`` where the config has no block, because Snakemake would keep the default.

    Parameters
    ----------
    overlay : mapping
        What ``--configfile`` and ``--config`` say, before ``config.yaml`` is read.

    Raises
    ------
    EmotraceError
        Naming the keys.
    """
    keys = list(_find_empty_blocks(overlay, Config().model_dump()))
    if keys:
        raise _list_mistakes([f"  {key}: cannot be empty (value {{}})" for key in keys])


def _find_empty_blocks(overlay: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    for key, default in defaults.items():
        value = overlay.get(key)
        if isinstance(default, Mapping) and isinstance(value, Mapping):
            yield from (f"{key}.{below}" for below in _find_empty_blocks(value, default))
        elif value == {}:
            yield key


def _list_mistakes(lines: Sequence[str]) -> EmotraceError:
    shown = list(lines[:MOST_MISTAKES])
    if len(lines) > MOST_MISTAKES:
        shown.append(f"  and {len(lines) - MOST_MISTAKES} more mistakes")
    return EmotraceError(
        "\n".join(["the config is not valid:", *shown]), hint="config.yaml explains every key"
    )


def _refuse(below: Below, name: str, valid: Iterable[str], kind: str) -> NoReturn:
    raise _make_error(below, f"{shorten(name)} is no {kind}; {suggest(name, valid)}")


def _make_error(below: Below, message: str) -> PydanticCustomError:
    # The message goes in as a value, because pydantic reads braces in a template.
    return PydanticCustomError("unknown", "{message}", {"message": message, "below": list(below)})


BLOCKS: dict[str, type[Settings]] = {
    **CORPORA,
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


WORDS = {
    "dict_type": "expected a block of keys",
    "int_parsing_size": "expected a smaller number",
    "model_attributes_type": "expected a block of keys",
    "model_type": "expected a block of keys",
}
"""What some of pydantic's errors mean, by their types."""


def _describe(detail: Mapping[str, Any]) -> str:
    path = list(detail["loc"])
    if path[:1] == ["corpus"]:
        kind = path.pop(1) if len(path) > 1 else "corpus"
    elif path[:2] == ["features", "overrides"] and len(path) > 2:
        kind = "features.overrides"
    else:
        kind = path[0] if len(path) > 1 else ""
    context = detail.get("ctx", {})
    path += context.get("below", [])
    key = ".".join(shorten(str(part))[1:-1] for part in path)
    found = shorten(detail["input"])
    if detail["type"] == "extra_forbidden":
        valid = BLOCKS[kind].model_fields if kind in BLOCKS else Config.model_fields
        return f"  {key}: no such key (value {found}); {suggest(str(path[-1]), valid)}"
    if detail["type"] == "union_tag_invalid":
        tag = context["tag"]
        return f"  {key}.name: {shorten(tag)} is no corpus; {suggest(tag, CORPORA)}"
    if detail["type"] in ("unknown", "repeated"):
        return f"  {key}: {detail['msg']}"
    if detail["type"] == "string_type" and isinstance(detail["input"], int | float | date):
        return f"  {key}: YAML takes this for {found}; put it in quotation marks"
    message = WORDS.get(detail["type"], context.get("error", detail["msg"]))
    return f"  {key}: {message} (value {found})"
