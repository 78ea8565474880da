"""Code that a suite brings along: ``package.module:attribute`` and ``file.py:attribute``.

Importing it runs it, which is why a suite must be trusted (README) and why ``--no-code`` exists. Its digest is
part of a cell's key, so that editing a model's file recomputes that model's cells and no others.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from symbench.errors import ConfigError, Problem, near_miss

MOST_FILES = 2000
"""A package with more source files than this is identified by its version alone."""


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
        if file is not None and not file.is_file():
            near = [p.name for p in file.parent.glob("*.py")] if file.parent.is_dir() else []
            raise ConfigError(
                Problem(self.where, f"got {self.module!r}", f"a file at {file}", near_miss(file.name, near))
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
        with self._importing():
            return self._attribute()(**arguments)

    def signature_has(self, parameter: str) -> bool:
        """Whether the attribute takes a parameter of that name."""
        import inspect

        with self._importing():
            return parameter in inspect.signature(self._attribute()).parameters

    def digest(self) -> str | None:
        """SHA-256 of the source: the file and the files beside it that it imports, or the package's sources.

        None where the source cannot be found: such code is never cached.
        """
        if self.file is not None:
            return _digest_files(self.file.parent, sorted(_with_siblings(self.file)))
        return digest_module(self.module)

    def _attribute(self) -> Any:
        try:
            module = self._module()
        except Exception as error:  # whatever the user's module does while importing
            raise ConfigError(
                Problem(self.where, f"importing {self.module!r} raised {type(error).__name__}: {error}")
            ) from error
        if self.attribute not in vars(module):
            raise ConfigError(
                Problem(
                    self.where,
                    f"{self.module} has no {self.attribute!r}",
                    "a function or class in it",
                    near_miss(self.attribute, [n for n in vars(module) if not n.startswith("_")]),
                )
            )
        found = vars(module)[self.attribute]
        if not callable(found):
            raise ConfigError(
                Problem(self.where, f"{self.attribute} is a {type(found).__name__}", "a function or class to call")
            )
        return found

    def _module(self) -> ModuleType:
        file = self.file
        if file is None:
            return importlib.import_module(self.module)
        name = f"_symbench_code_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickle look their module up
        spec.loader.exec_module(module)
        return module

    @contextlib.contextmanager
    def _importing(self) -> Iterator[None]:
        """Let a file import its neighbours, and forget them afterwards: another suite may have its own."""
        file = self.file
        if file is None:
            yield
            return
        before = set(sys.modules)
        sys.path.insert(0, str(file.parent))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(str(file.parent))
            for name in set(sys.modules) - before:
                origin = getattr(sys.modules[name], "__file__", None)
                if origin and Path(origin).is_relative_to(file.parent) and not name.startswith("_symbench_code_"):
                    del sys.modules[name]


def digest_module(name: str) -> str | None:
    """SHA-256 of a module's source: its whole top-level package, and its version where it is installed."""
    top = name.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    if not spec.submodule_search_locations:
        return _digest_files(origin.parent, [origin])
    files = sorted(origin.parent.rglob("*.py"))
    if len(files) <= MOST_FILES:
        return _digest_files(origin.parent, files)
    distributions = importlib.metadata.packages_distributions().get(top, [])
    if not distributions:
        return None
    versions = [f"{d}=={importlib.metadata.version(d)}" for d in sorted(distributions)]
    return hashlib.sha256(" ".join(versions).encode()).hexdigest()


def digest_source(module: str) -> str:
    """SHA-256 of one of our own modules' source, found without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def _digest_files(folder: Path, files: list[Path]) -> str | None:
    digest = hashlib.sha256()
    try:
        for file in files:
            content = file.read_bytes()
            digest.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    except OSError:
        return None
    return digest.hexdigest()


def _with_siblings(file: Path, seen: set[Path] | None = None) -> set[Path]:
    """``file`` and every file or package of its folder that it imports, directly or not."""
    seen = set() if seen is None else seen
    seen.add(file)
    for name in _imported(file):
        base = file.parent / Path(*name.split("."))
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file() and candidate not in seen:
                _with_siblings(candidate, seen)
    return seen


def _imported(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = node.module or ""
            if stem:
                yield stem
            yield from (f"{stem}.{alias.name}".lstrip(".") for alias in node.names)
