"""Define the interface that each corpus implements, and load corpora.

This module imports no large libraries, because the workflow uses it during planning.
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
    """Base class of all corpora: of the class ``Corpus`` in each ``emotrace.corpora.NAME``.

    ``Corpus`` is a frozen dataclass. Its fields are the settings of the corpus, named as in its
    block of the config, with plain values, because pydantic is not installed in the environments
    of jobs.

    Attributes
    ----------
    name : str
        Name of the corpus: the value of ``corpus.name`` in the config and the name of the module.
    licence, citation : str
        Licence and citation of the music and the annotations; empty if only the user knows them.
    annotators : int or None
        Number of people who annotated each clip; None if unknown.
    annotation_scale : tuple of float or None
        Lowest and highest value of the annotators' scale; None if the user cannot set it.
    offset_setting : str
        Setting for the second at which each file begins, for hints; empty if there is none.
    digests : sequence of str
        Paths of the digests of the files that the workflow makes; empty if the corpus is the
        user's own.
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
        """List the files that describe the corpus, without the audio files.

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
            One tuple per clip, in the order of `read`. The audio files need not exist.
        """

    @abstractmethod
    def read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Read the tables of the corpus, before any audio file is inspected.

        Returns
        -------
        clips : pandas.DataFrame
            ``clip_id``, ``path``, ``offset_s`` (seconds; position of the first audio sample on the
            time line of the annotations), ``split``, ``artist``, ``title``, ``genre``.
        annotations : pandas.DataFrame
            ``clip_id``, ``time_s``, ``arousal``, ``arousal_std``, ``valence``, ``valence_std``,
            on a scale from -1 to 1; NaN where a value is unknown.
        """

    def list_labels(self) -> list[tuple[str, str, str]] | None:
        """List ``clip_id``, ``artist`` and ``split`` of each clip, without importing pandas.

        The result is None if the labels are unknown until the workflow has made the corpus.
        """
        return None

    @property
    def table_settings(self) -> dict[str, Any]:
        """Settings that determine the tables of the corpus, as arguments for `load_corpus`."""
        return {"name": self.name, **vars(self)}

    @property
    def audio_settings(self) -> dict[str, Any]:
        """Settings that determine the list of audio files, as arguments for `load_corpus`."""
        return self.table_settings

    @property
    def is_made_by_workflow(self) -> bool:
        """Whether the workflow synthesises or downloads the corpus."""
        return bool(self.digests)

    def list_inputs(self) -> list[str]:
        """List the files of `list_sources` that a rule makes, and that rules can have as inputs.

        The user's own files are not inputs. `digest_sources` detects changes to them instead.
        Snakemake stops each job whose input has a later date than its output, which happens with
        files on a server whose clock is wrong. It would also mistake braces in their paths for
        wildcards.
        """
        sources = self.list_sources()
        return sources if self.is_made_by_workflow else []

    def digest_sources(self) -> str:
        """Digest the content of the files that describe the corpus, if they are the user's own."""
        if self.is_made_by_workflow:
            return "made by the workflow"
        return digest_files(*self.list_sources())

    def measure_own_sources(self) -> float:
        """Return the size in MB of the describing files that are not inputs of rules."""
        if self.is_made_by_workflow:
            return 0.0
        return sum(os.path.getsize(path) for path in self.list_sources()) / 1e6


def load_corpus(settings: Mapping[str, Any]) -> BaseCorpus:
    """Create the corpus that settings describe.

    Code digests do not find the module that this function imports. A rule whose script calls
    it must therefore name the corpus's file as well as the script.

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
        Path that is absolute, relative to the working directory, or begins with ``~``.
    key : str
        Key of the path in the config, such as "corpus.clips".
    is_folder : bool, default False
        Whether the path must be a folder; otherwise it must be a regular file.

    Raises
    ------
    EmotraceError
        If the file or folder does not exist, or you lack permission to read it.
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
    # Opening a pipe or a device would block the run forever.
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
