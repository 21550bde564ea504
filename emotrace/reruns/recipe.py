"""What decides something that is kept: its settings, its code, and the libraries behind it."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import metadata
from typing import Any

from emotrace.reruns.code import check_code
from emotrace.runtime.errors import EmotraceError


@dataclass(frozen=True)
class Recipe:
    """How a kind of thing is made, whatever it is made from.

    Two equal recipes make the same of the same audio or clips. A recipe is written while
    the run is planned, travels to the job as a parameter of its rule, and names what the
    job keeps in the store.

    Parameters
    ----------
    kind : {"inspections", "features", "fits"}
        What is made; also the folder in the store.
    name : str
        Which one, such as a feature set or a model. Letters, digits and underscores.
    settings : mapping
        Values that JSON can hold.
    code : str
        See `emotrace.reruns.code.digest_code`.
    libraries : mapping of str to str
        Distributions and their versions.

    Examples
    --------
    >>> recipe = Recipe("features", "chroma", {"hop_s": 0.5}, "0123456789ab", {})
    >>> recipe.key
    'd53dc3bc527bb47d'
    """

    kind: str
    name: str
    settings: Mapping[str, Any]
    code: str
    libraries: Mapping[str, str]

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that stand for the recipe."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def adopt_libraries(self) -> Recipe:
        """Return the recipe with the versions of this environment.

        A job's environment may be another than that in which the run was planned.
        """
        return replace(self, libraries=find_versions(*self.libraries))

    def check(self, *files: str) -> None:
        """Check that this process follows the recipe, before it keeps what it made.

        Parameters
        ----------
        *files : str
            Those that the recipe's code is a digest of.

        Raises
        ------
        EmotraceError
            If the code or a library of this process is another.
        """
        check_code(self.code, self.name, *files)
        check_versions(self.name, *self.libraries.items())


@cache
def check_versions(what: str, *expected: tuple[str, str]) -> None:
    """Check that this process runs with the libraries of the job that started it.

    Workers on other machines may have others.

    Parameters
    ----------
    what : str
        Whose libraries, for the error.
    *expected : tuple of str
        Distributions and their versions.

    Raises
    ------
    EmotraceError
        If a version is another.
    """
    for name, version in expected:
        found = _find_imported(name)
        if found != version:
            raise EmotraceError(
                f"{what}: needs {name} {version}, and {socket.gethostname()} has {found}",
                hint="start the workers in the environment of the workflow",
            )


def find_versions(*distributions: str) -> dict[str, str]:
    """Return the installed versions of distributions, "absent" where not installed."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


@cache
def _find_imported(distribution: str) -> str:
    """Return the version of a distribution when this process first asked for it."""
    return find_versions(distribution)[distribution]
