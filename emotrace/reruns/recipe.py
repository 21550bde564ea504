"""Everything that determines a stored result: its settings, its code and its libraries."""

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
    """How one kind of result is made, regardless of its input.

    Two equal recipes make the same result from the same audio or clips. The recipe is created
    when the run is planned, passed to the job as a parameter of its rule, and used as part of
    the name under which the job's results are stored.

    Parameters
    ----------
    kind : {"inspections", "features", "fits"}
        Kind of result; also the name of its folder in the store.
    name : str
        Name of the feature set or model, for example. Letters, digits and underscores.
    settings : mapping
        Settings, as values that JSON can represent.
    code : str
        Digest of the code; see `emotrace.reruns.code.digest_code`.
    libraries : mapping of str to str
        Names of distributions and their versions.

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
        """Sixteen hexadecimal digits that identify the recipe."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def adopt_libraries(self) -> Recipe:
        """Return a copy of the recipe with the library versions of this environment.

        The environment of a job may differ from the one in which the run was planned.
        """
        return replace(self, libraries=find_versions(*self.libraries))

    def check(self, *files: str) -> None:
        """Check that this process follows the recipe, before it stores a result.

        Parameters
        ----------
        *files : str
            Files from which the recipe's digest of code was computed.

        Raises
        ------
        EmotraceError
            If the code or a library of this process differs from the recipe.
        """
        check_code(self.code, self.name, *files)
        check_versions(self.name, *self.libraries.items())


@cache
def check_versions(what: str, *expected: tuple[str, str]) -> None:
    """Check that this process uses the same library versions as the job that started it.

    Workers on other machines may have other versions.

    Parameters
    ----------
    what : str
        Name of this process, for the error message.
    *expected : tuple of str
        Names of distributions and their versions.

    Raises
    ------
    EmotraceError
        If a version differs.
    """
    for name, version in expected:
        found = _find_imported(name)
        if found != version:
            raise EmotraceError(
                f"{what}: needs {name} {version}, and {socket.gethostname()} has {found}",
                hint="start the workers in the environment of the workflow",
            )


def find_versions(*distributions: str) -> dict[str, str]:
    """Return the installed versions of distributions, or "absent" if not installed."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


@cache
def _find_imported(distribution: str) -> str:
    """Return the version that a distribution had when this process first asked for it."""
    return find_versions(distribution)[distribution]
