"""The code behind an object that has been built: every module it may run, and whose each of them is."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from symbench.base.identity.origins import PACKAGE, Distribution, distribution_of, file_of, installed, origin_of
from symbench.base.identity.sources import imported_names, located

LOADED_AS = "_symbench_code_"
"""How the names begin under which the files of suites are loaded."""


@dataclass
class Dependencies:
    """The modules and releases that some code may run.

    Attributes:
        files: modules that are neither the standard library's nor of a release, with the file of each.
        distributions: releases, by name.
        unknown: modules whose code cannot be found, as of a notebook: what depends on them is never cached.
    """

    files: dict[str, Path] = field(default_factory=dict)
    distributions: dict[str, Distribution] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def document(self) -> dict[str, Any]:
        """As plain data: SHA-256 of every module, and what identifies every release."""
        modules = {_shown(name, file): _digest(name, file) for name, file in self.files.items()}
        releases = {name: distribution.document() for name, distribution in self.distributions.items()}
        known = {"modules": dict(sorted(modules.items())), "distributions": dict(sorted(releases.items()))}
        return {**known, "unknown": sorted(self.unknown)} if self.unknown else known


def dependencies(start: Iterable[str]) -> Dependencies:
    """Everything that the code of some modules may run.

    Modules are followed by what they hold (other modules, and what comes from them) and by their import statements,
    those inside functions too, whether they have been run or not. Releases are not followed: their version and their
    list of files stand for them. Nor are symbench's own: each stands for itself, as the versions in a cell's key do.

    Args:
        start: names of modules, loaded or not.
    """
    # A list of what is left to visit, and no recursion: a large package imports itself a thousand modules deep.
    known, waiting, visited = Dependencies(), list(start), set[str]()
    while waiting:
        name = waiting.pop()
        if name in visited:
            continue
        visited.add(name)
        module = sys.modules.get(name)
        file = file_of(module) if module is not None else located(name, PACKAGE)
        if file is None:
            _without_a_file(name, module, known)
            continue
        waiting += _followed(name, module, file, known, visited)
    return known


def _followed(name: str, module: object, file: Path, known: Dependencies, visited: set[str]) -> list[str]:
    """Add one module to what is ``known``.

    Returns:
        The names of the modules that its code leads to; none where a version stands for all of it.
    """
    whose = origin_of(file)
    if whose == "released":
        release = distribution_of(file)
        if release is not None:
            known.distributions[release.name] = release
        return []
    if whose == "standard":
        return []
    known.files[name] = file
    if whose == "ours":
        return []
    # A package's __init__ runs whenever one of its modules is imported, and may change what that does.
    names = list(_held(module)) + [name.rpartition(".")[0]] * ("." in name)
    for imported in imported_names(name, file):
        if imported in sys.modules:
            names.append(imported)
        elif imported not in visited:
            visited.add(imported)
            names += _not_loaded(imported, located(imported, file.parent), known, visited)
    return names


def _not_loaded(name: str, file: Path | None, known: Dependencies, visited: set[str]) -> list[str]:
    """:func:`_followed` for a module that is not loaded, as one that a function imports only when it is called."""
    return [] if file is None else _followed(name, None, file, known, visited)


def _without_a_file(name: str, module: object, known: Dependencies) -> None:
    """Add a module without a file to what is known: a release's to that release, a notebook's to the unknown.

    Built-in modules and namespace packages have no code that could change, and are left out.
    """
    top = name.partition(".")[0]
    release = installed(top)
    if release is not None:
        known.distributions[release.name] = release
    elif module is not None and top not in sys.stdlib_module_names and not hasattr(module, "__path__"):
        known.unknown.add(name)


def _held(module: object) -> Iterator[str]:
    """The names of the modules that what a module holds comes from: imported functions, and objects' classes."""
    # list(): a lazy module fills its own namespace while somebody looks through it.
    for value in list(vars(module).values()) if isinstance(module, ModuleType) else ():
        if isinstance(value, ModuleType):
            yield value.__name__
            continue
        # An object's class says whose code it runs. Its ``__module__`` need not be a text: mocks answer anything.
        owner = value if isinstance(value, (type, FunctionType)) else type(value)
        where = owner.__module__
        if isinstance(where, str):
            yield where


def _shown(name: str, file: Path) -> str:
    """What a module is called in a document: its name, or for a suite's own file that file's name.

    The name that such a file is loaded under depends on where the suite is.
    """
    return file.name if name.startswith(LOADED_AS) else name


_LOADED: dict[str, tuple[object, str]] = {}


def _digest(name: str, file: Path) -> str:
    """SHA-256 of a module's file. A file that was edited after it had been imported is still what it was here."""
    module = sys.modules.get(name)
    known = _LOADED.get(name)
    # By the module object and not by name and time: after a reload, or another file of the same name, it is new code.
    if known is not None and known[0] is module:
        return known[1]
    try:
        sha256_hex = sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
    if module is not None:
        _LOADED[name] = (module, sha256_hex)
    return sha256_hex
