"""Which source files a file's code may run: its imports, at any depth of it, followed without importing anything."""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from symbench.base.identity.origins import file_of, origin_of


def source_files(root: Path) -> dict[str, Path]:
    """The files that importing or calling a file's code may run, by module; those of releases left out.

    Imports inside functions count, and so do packages' ``__init__``. The file itself goes by its file's name, so that
    it does not matter where a suite is.

    Args:
        root: a ``.py`` file, whose folder is where its imports are looked for first.
    """
    files = {root.name: root}
    waiting = [(root.stem, root)]
    while waiting:
        name, file = waiting.pop()
        for imported in imported_names(name, file):
            path = located(imported, root.parent)
            if path is not None and imported not in files and origin_of(path) == "foreign":
                files[imported] = path
                waiting.append((imported, path))
    return files


def imported_names(name: str, file: Path) -> Iterator[str]:
    """The dotted names that a file's imports may mean, parents included: ``from a.b import c`` may be of a.b.c.

    Args:
        name: the module's own name, for relative imports.
        file: a source file; one that cannot be parsed imports nothing.
    """
    # Dots count from the package: for an ``__init__`` that is its own name, for any other module its parent's.
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for level, stem in _statements(file, _stamp(file)):
        base = package.split(".") if level else []
        if level > 1:  # ``base[:0]`` for one dot would be nothing at all
            base = base[: 1 - level]
        parts = [part for part in [*base, *stem.split(".")] if part]
        yield from (".".join(parts[: n + 1]) for n in range(len(parts)))


def located(name: str, folder: Path) -> Path | None:
    """The file that a module is made from when it is imported beside ``folder``; nothing is imported to find out.

    Args:
        name: dotted.
        folder: where top-level names are looked for first, as on ``sys.path``.
    """
    # Beside the file first, as Python looks: it puts a suite's folder at the front of ``sys.path``.
    beside = next(_files(folder, name), None)
    if beside is not None:
        return beside.resolve()
    if name in sys.modules:
        return file_of(sys.modules[name])
    # find_spec("a.b") imports a, which may do anything: only the parent is asked for, and b looked for beside it.
    parent, _, last = name.rpartition(".")
    if parent:
        package = located(parent, folder)
        return None if package is None else next(_files(package.parent, last), None)
    try:
        spec = importlib.util.find_spec(name)  # of a top-level name: this imports nothing
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin).resolve() if spec and spec.origin and Path(spec.origin).is_absolute() else None


def _files(folder: Path, name: str) -> Iterator[Path]:
    """The files below a folder that a dotted name may mean; a package comes before a module, as in Python."""
    base = folder.joinpath(*name.split("."))
    yield from (file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file())


def _stamp(file: Path) -> tuple[int, int, int]:
    """What changes when a file is edited: the key under which its parsed imports are remembered."""
    try:
        status = file.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size


@functools.lru_cache(maxsize=4096)
def _statements(file: Path, stamp: tuple[int, int, int]) -> list[tuple[int, str]]:
    """Every import of a file as (dots, dotted name)."""
    del stamp  # what makes an edited file another key
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return []
    return list(_walked(ast.walk(tree)))


def _walked(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """The import statements among the nodes of a file as (dots, dotted name)."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):  # ``from a import b``: b may be a module, so both are imported
            stem = f"{node.module}." if node.module else ""
            yield from ((node.level, f"{stem}{alias.name}") for alias in node.names if alias.name != "*")
            yield node.level, node.module or ""
