"""What a corpus is: the questions that the workflow asks each one, and how it is found.

This module imports nothing heavy: the workflow asks while it plans.
"""

from __future__ import annotations

import importlib
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotrace.reruns.digests import digest_files
from emotrace.runtime.errors import EmotraceError

if TYPE_CHECKING:
    import pandas as pd


class BaseCorpus(ABC):
    """The base of each corpus: the class ``Corpus`` in the module ``emotrace.corpora.NAME``.

    ``Corpus`` is a frozen dataclass. Its fields are the corpus's settings, named as in its block
    of the config, with plain values: the environments of jobs have no pydantic.

    Attributes
    ----------
    name : str
        As in ``corpus.name`` of the config; the name of the module too.
    licence, citation : str
        Of the music and the annotations; empty where the user knows better.
    annotators : int or None
        How many people annotated each clip, or None if that is not known.
    annotation_scale : tuple of float or None
        Lowest and highest value of the annotators' scale, where the user sets it.
    offset_setting : str
        Where the user sets at which second each file begins, for hints; empty if nowhere.
    digests : sequence of str
        The digests of the files that the workflow makes; none if the corpus is the user's own.
    """

    name: str
    licence: str = ""
    citation: str = ""
    annotators: int | None = None
    annotation_scale: tuple[float, float] | None = None
    offset_setting: str = ""
    digests: Sequence[str] = ()

    @abstractmethod
    def list_sources(self) -> list[str]:
        """List the files that describe the corpus, all but the audio.

        Raises
        ------
        EmotraceError
            If a folder or file that the config names does not exist.
        """

    @abstractmethod
    def list_audio(self) -> list[tuple[str, str, float]]:
        """List ``clip_id``, ``path`` and ``offset_s`` of each clip, without importing pandas.

        Returns
        -------
        list of tuple
            In the order of `read`; nothing looks at the files themselves.
        """

    @abstractmethod
    def read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Read the corpus as it describes itself, before anything looks at its audio.

        Returns
        -------
        clips : pandas.DataFrame
            ``clip_id``, ``path``, ``offset_s`` (seconds; where the audio's first sample lies on
            the annotations' time line), ``split``, ``artist``, ``title``, ``genre``.
        annotations : pandas.DataFrame
            ``clip_id``, ``time_s``, ``arousal``, ``arousal_std``, ``valence``, ``valence_std``,
            on a scale from -1 to 1; NaN where a value is not known.
        """

    def list_labels(self) -> list[tuple[str, str, str]] | None:
        """List ``clip_id``, ``artist`` and ``split`` of each clip, without importing pandas.

        None if this is not known before the workflow has made the corpus.
        """
        return None

    @property
    def table_settings(self) -> dict[str, Any]:
        """The settings that decide the corpus's tables, as `load_corpus` takes them."""
        return {"name": self.name, **vars(self)}

    @property
    def audio_settings(self) -> dict[str, Any]:
        """The settings that decide which audio there is, as `load_corpus` takes them."""
        return self.table_settings

    @property
    def is_made_by_workflow(self) -> bool:
        """Whether the workflow synthesises or downloads the corpus."""
        return bool(self.digests)

    def list_inputs(self) -> list[str]:
        """List the files of `list_sources` that are inputs of a rule: those that a rule makes.

        A user's own are none. `digest_sources` tells when they change, and Snakemake ends each
        job whose input is dated later than its output, which happens to files of a server with
        a wrong clock. It would also take braces in their paths for wildcards.
        """
        sources = self.list_sources()
        return sources if self.is_made_by_workflow else []

    def digest_sources(self) -> str:
        """Digest the content of the files that describe the corpus, if they are the user's own."""
        if self.is_made_by_workflow:
            return "made by the workflow"
        return digest_files(*self.list_sources())

    def measure_own_sources(self) -> float:
        """Return the size in MB of the files that describe the corpus and are no inputs."""
        if self.is_made_by_workflow:
            return 0.0
        return sum(os.path.getsize(path) for path in self.list_sources()) / 1e6


def load_corpus(settings: Mapping[str, Any]) -> BaseCorpus:
    """Make the corpus that settings describe.

    Code digests do not see this import: a rule whose script calls this names the corpus's file
    beside the script.

    Parameters
    ----------
    settings : mapping
        ``name``, and fields of the class ``Corpus`` in ``emotrace.corpora.NAME``.
    """
    fields = dict(settings)
    module = importlib.import_module(f"emotrace.corpora.{fields.pop('name')}")
    return module.Corpus(**fields)


def find_source(path: str, key: str, *, is_folder: bool = False) -> Path:
    """Find a file or folder that the config names.

    Parameters
    ----------
    path : str
        Below the working directory, absolute, or below ``~``.
    key : str
        The config's key, such as "corpus.clips".
    is_folder : bool, default False
        Whether it must be a folder; else it must be a regular file.

    Raises
    ------
    EmotraceError
        If there is none, or it may not be read.
    """
    source = Path(path).expanduser()
    try:
        mode = source.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise EmotraceError(
            f"{key}: there is no {source.absolute()}",
            hint="relative paths start at the working directory of the run (--directory)",
        ) from None
    except OSError as error:
        raise EmotraceError(
            f"{key}: {source.absolute()} cannot be read ({error.strerror})",
            hint="check the path in the config",
        ) from None
    # A pipe or a device would keep the run waiting for ever.
    if not (stat.S_ISDIR(mode) if is_folder else stat.S_ISREG(mode)):
        raise EmotraceError(
            f"{key}: {source.absolute()} is not a {'folder' if is_folder else 'file'}",
            hint="check the path in the config",
        )
    if not os.access(source, os.R_OK):
        raise EmotraceError(
            f"{key}: {source.absolute()} may not be read",
            hint="let its owner give you the right to read it",
        )
    return source
