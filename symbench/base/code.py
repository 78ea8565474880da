"""Code that a suite brings along: ``package.module:attribute`` and ``file.py:attribute``.

Importing it runs it, which is why a suite must be trusted (README) and why ``--no-code`` exists. What it is, and all
that it depends on, is part of a cell's key (``symbench.base.identity``), so that editing a model's file recomputes
that model's cells and no others.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from symbench.base.errors import ConfigError, Problem, SymbenchError, described, near_miss, quoted
from symbench.base.identity import LOADED_AS, source_files
from symbench.base.identity.origins import made_from
from symbench.base.paths import beside, is_file

LONGEST = 300
"""Characters that are kept of what a library says went wrong: some list everything they know."""


@contextlib.contextmanager
def foreign(
    kind: type[SymbenchError], where: str, doing: str, expected: str | None = None, remedy: str | None = None
) -> Iterator[None]:
    """Turn whatever exception code of users or libraries raises into a symbench error that says what it was doing.

    Args:
        kind: the error to raise.
        where: the suite's key, or the name of the thing.
        doing: as in ``building it``.
        expected: what would be right.
        remedy: what to do.
    """
    try:
        yield
    except (SymbenchError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a call of sys.exit, or a cancelled task, must not end the run
        raise kind(Problem(where, f"{doing} raised {described(error)}", expected, remedy)) from error


def require(package: str, extra: str, where: str) -> ModuleType:
    """Import a package that not everybody has installed.

    Raises:
        ConfigError: it is not there, or cannot be imported; with the command that installs it.
    """
    try:
        return importlib.import_module(package)
    except Exception as error:  # a broken installation may raise anything
        gone = isinstance(error, ModuleNotFoundError) and error.name == package
        reason = "which is not installed" if gone else f"which cannot be imported: {shortened(error)}"
        raise ConfigError(
            Problem(where, f"needs the package {package}, {reason}", None, f'pip install "symbench[{extra}]"')
        ) from error


def shortened(error: BaseException) -> str:
    """What went wrong, on one line of bearable length."""
    text = described(error)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


_loaded: dict[tuple[Path, str], ModuleType] = {}
"""Modules that were made from files in this process, by the file and the digest of all the sources it imports."""


@dataclass(frozen=True)
class Code:
    """A reference to an attribute of a module or a file.

    Attributes:
        module: a dotted name, or the path of a ``.py`` file.
        attribute: what to take from it.
        folder: what relative paths start from: the suite's folder.
        where: the suite's key, for messages.
    """

    module: str
    attribute: str
    folder: Path
    where: str = ""

    @classmethod
    def parse(cls, text: str, *, folder: Path, where: str = "") -> Code | None:
        """The reference that ``text`` is, or None: the colon is what marks code."""
        module, colon, attribute = text.rpartition(":")
        return cls(module, attribute, folder, where) if colon else None

    @property
    def file(self) -> Path | None:
        """The file, where the reference names one."""
        return (self.folder / self.module).resolve() if self.module.endswith(".py") else None

    def check(self) -> None:
        """Refuse a file that is not there, without importing anything.

        Raises:
            ConfigError: the file does not exist, or the attribute is no name.
        """
        file = self.file
        if file is not None and not is_file(file):
            near = [name for name in beside(file) if name.endswith(".py")]
            raise ConfigError(
                Problem(self.where, f"got {quoted(self.module)}", f"a file at {file}", near_miss(file.name, near))
            )
        if not self.attribute.isidentifier():
            raise ConfigError(
                Problem(self.where, f"got {self.attribute!r} behind the colon", "the name of a function or class")
            )

    def call(self, **arguments: Any) -> Any:
        """Import the module and call the attribute.

        Raises:
            ConfigError: the module cannot be imported, or has no such attribute.
        """
        return self._callable()(**arguments)

    def signature_has(self, parameter: str) -> bool:
        """Whether the attribute takes a parameter of that name."""
        try:
            return parameter in inspect.signature(self._callable()).parameters
        except (TypeError, ValueError):  # it has none that can be read, as built-in functions may not
            return False

    def value(self) -> Any:
        """Import the module and return the attribute, whatever it is.

        Raises:
            ConfigError: the module cannot be imported, or has no such attribute.
        """
        with foreign(ConfigError, self.where, f"importing {self.module!r}"):
            module = self._module()
        value = getattr(module, self.attribute, None)
        if value is None:
            known = [name for name in vars(module) if not name.startswith("_")]
            close = near_miss(self.attribute, known)
            got = f"{self.module} has no {self.attribute!r}"
            raise ConfigError(Problem(self.where, got, "a function or class in it", close))
        return value

    def loaded(self) -> str:
        """The name in ``sys.modules`` of the referenced module, once it has been imported."""
        return self.module if self.file is None else module_name(self.file)

    def _callable(self) -> Any:
        """The function or class that the reference names.

        Raises:
            ConfigError: the module cannot be imported, or has nothing of that name that can be called.
        """
        value = self.value()
        if not callable(value):
            raise ConfigError(
                Problem(self.where, f"{self.attribute} is a {type(value).__name__}", "a function or class to call")
            )
        return value

    def _module(self) -> ModuleType:
        """The module, imported; a file that has changed since, or whose imports have, is run anew."""
        file = self.file
        if file is None:
            return importlib.import_module(self.module)
        with foreign(ConfigError, self.where, f"reading {self.module!r}"):
            key = (file, _digest_files(source_files(file)))
        if key not in _loaded:  # run once: a file may register operators, which cannot be done twice
            _loaded[key] = _load_file(file)
        return _loaded[key]


def _load_file(file: Path) -> ModuleType:
    """Run a file as a module. Its folder stays on the path, for imports that come as late as ``forward``."""
    sources = source_files(file)
    for name in made_from(sources.values()).union(sources):  # an edited neighbour, or one of the same name elsewhere
        sys.modules.pop(name, None)
    folder = str(file.parent)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    name = module_name(file)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    spec.loader.exec_module(module)
    return module


def module_name(file: Path) -> str:
    """The name that a file's module gets in ``sys.modules``: one for each path, so that suites do not meet."""
    return f"{LOADED_AS}{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"


def _digest_files(files: Mapping[str, Path]) -> str:
    """SHA-256 of several files, with their names and lengths: where one ends and the next begins counts too."""
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        content = file.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
