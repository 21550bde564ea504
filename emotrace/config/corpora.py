"""Blocks of the config for the corpora."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from emotrace.config.block import PathText, Settings, refuse_markup
from emotrace.corpora.corpus import BaseCorpus, load_corpus


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
        return refuse_markup(value) if isinstance(value, str) else value

    def load(self) -> BaseCorpus:
        """Return the corpus; the other settings are those of its class, see `load_corpus`."""
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
"""Block of each corpus by name; each class above is included."""

AnyCorpus = Annotated[reduce(or_, CORPORA.values()), Field(discriminator="name")]
