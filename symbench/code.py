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
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from symbench.errors import ConfigError, Problem, SymbenchError, described, near_miss, quoted
from symbench.paths import beside, is_file

MOST_FILES = 2000
"""A package with more source files than this is identified by its version alone."""

LONGEST = 300
"""Characters that are kept of what a library says went wrong: some list everything they know."""


@contextlib.contextmanager
def foreign(
    kind: type[SymbenchError], where: str, doing: str, expected: str | None = None, remedy: str | None = None
) -> Iterator[None]:
    """Turn whatever code that is not ours raises into an error of ours, with what it was doing.

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


_loaded: dict[tuple[Path, str | None], ModuleType] = {}


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
        return self._attribute()(**arguments)

    def signature_has(self, parameter: str) -> bool:
        """Whether the attribute takes a parameter of that name."""
        try:
            return parameter in inspect.signature(self._attribute()).parameters
        except (TypeError, ValueError):  # it has none that can be read, as built-in functions may not
            return False

    def digest(self) -> str | None:
        """SHA-256 of the source: the file and the files beside it that it imports, or the package's sources.

        None where the source cannot be found: such code is never cached.
        """
        if self.file is not None:
            return _digest_files(self.file.parent, sorted(_with_siblings(self.file)))
        return digest_module(self.module)

    def _attribute(self) -> Any:
        with foreign(ConfigError, self.where, f"importing {self.module!r}"):
            module = self._module()
        found = getattr(module, self.attribute, None)
        if found is None:
            known = [name for name in vars(module) if not name.startswith("_")]
            raise ConfigError(
                Problem(
                    self.where,
                    f"{self.module} has no {self.attribute!r}",
                    "a function or class in it",
                    near_miss(self.attribute, known),
                )
            )
        if not callable(found):
            raise ConfigError(
                Problem(self.where, f"{self.attribute} is a {type(found).__name__}", "a function or class to call")
            )
        return found

    def _module(self) -> ModuleType:
        file = self.file
        if file is None:
            return importlib.import_module(self.module)
        key = (file, self.digest())
        if key not in _loaded:  # run once: a file may register operators, which cannot be done twice
            _loaded[key] = _load_file(file)
        return _loaded[key]


def _load_file(file: Path) -> ModuleType:
    """Run a file as a module. Its folder stays on the path, for imports that come as late as ``forward``."""
    siblings = _with_siblings(file)
    for name, module in list(sys.modules.items()):  # an edited neighbour, or one of the same name elsewhere
        origin = getattr(module, "__file__", None)
        if origin and (Path(origin).resolve() in siblings or _module_name(file.parent, siblings, name)):
            del sys.modules[name]
    folder = str(file.parent)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    name = f"_symbench_code_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    spec.loader.exec_module(module)
    return module


def _module_name(folder: Path, siblings: set[Path], name: str) -> bool:
    base = folder / Path(*name.split("."))
    return base.with_suffix(".py") in siblings or base / "__init__.py" in siblings


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
        return _digest_files(origin.parent, sorted(_with_siblings(origin)))
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


def _with_siblings(root: Path) -> set[Path]:
    """``root`` and every file below its folder that it imports, directly or not, packages' ``__init__`` included."""
    seen, waiting = {root}, [root]
    while waiting:
        file = waiting.pop()
        for base, name in _imported(file, root.parent):
            for found in _files_of(base, name):
                if found not in seen and found.is_relative_to(root.parent):
                    seen.add(found)
                    waiting.append(found)
    return seen


def _files_of(base: Path, name: str) -> Iterator[Path]:
    """The files that importing ``name``, looked up in ``base``, runs: ``a.b.c`` runs a, a.b and a.b.c."""
    place = base
    for part in name.split(".") if name else []:
        place = place / part
        for candidate in (place.with_suffix(".py"), place / "__init__.py"):
            if candidate.is_file():
                yield candidate


def _imported(file: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Each import of a file as (folder to look in, dotted name); relative ones start from the file's own package."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((root, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = root if node.level == 0 else file.parents[node.level - 1]
            stem = f"{node.module}." if node.module else ""
            yield from ((base, f"{stem}{alias.name}") for alias in node.names)
