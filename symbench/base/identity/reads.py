"""What code reads while it builds something: files that it opens and environment variables that it asks for.

A read belongs to the module whose import it happens in, and else to the call. Imports happen once in a process; what
they read is kept here, so that every model whose code depends on the module knows of it, whichever came first.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from symbench.base.identity.origins import SITES, origin_of

NOWHERE = ("/proc/", "/sys/", "/dev/", "/etc/")
"""Files of the machine, which are part of no result."""
FOR_CODE = ("importlib.", "_frozen_importlib", "linecache", "tokenize", "symbench.")
"""Modules that open files for their code, which is known otherwise."""
COPIES = 32
"""A line of code that asks for more variables than this takes a copy of the environment, and depends on none."""


@dataclass
class Reads:
    """The files and environment variables that some code has read.

    Attributes:
        files: SHA-256 of every file, by its path as it was opened.
        environment: a digest of every variable's value, by its name; None for those that are not set.
    """

    files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str | None] = field(default_factory=dict)

    def document(self, folder: Path) -> dict[str, Any]:
        """As plain data; files by their path below ``folder``, or else by name, wherever they are."""
        # This goes into keys, which are to be the same on another machine: no absolute path may stand in it. Two
        # files of one name are told apart by both digests together.
        files: dict[str, str] = {}
        for path, digest in sorted(self.files.items()):
            file = Path(path)
            name = file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name
            files[name] = f"{files[name]} {digest}" if name in files else digest
        return {"files": files, "environment": dict(sorted(self.environment.items()))}

    def relative(self, folder: Path) -> dict[str, str]:
        """The files, by their path below ``folder`` or else in full."""
        paths = {path: Path(path) for path in self.files}
        return {
            file.relative_to(folder).as_posix() if file.is_relative_to(folder) else path: self.files[path]
            for path, file in paths.items()
        }

    def add(self, other: Reads) -> None:
        """Take in what has been read elsewhere."""
        self.files |= other.files
        self.environment |= other.environment

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Take in what code reads in a ``with`` block, called from there or imported by it."""
        noted = _Noted(sys._getframe(2).f_code)  # of the with statement, behind contextlib's own
        _install()
        _ACTIVE.append(noted)
        # The class of os.environ is exchanged, not the object: code has done ``from os import environ`` long ago.
        environ: Any = os.environ
        before, environ.__class__ = environ.__class__, _Environment
        try:
            yield
        finally:
            environ.__class__ = before
            _ACTIVE.remove(noted)
            for module, reads in noted.taken().items():
                (self if module is None else _IMPORTS.setdefault(module, Reads())).add(reads)


def value_digest(name: str, value: str | None) -> str | None:
    """A short digest of an environment variable's value; None where it is not set.

    Records are published, and variables hold passwords: of the value nothing else is kept.
    """
    return None if value is None else sha256(f"{name}={value}".encode()).hexdigest()[:16]


def changed_reads(files: Mapping[str, str], environment: Mapping[str, str | None], folder: Path) -> list[str]:
    """Which of some files, by :meth:`Reads.relative`, and variables are not as they were, in words."""
    changed = []
    for name, digest in files.items():
        try:
            with (folder / name).open("rb") as file:
                same = file_digest(file, "sha256").hexdigest() == digest
        except OSError:
            same = False
        changed += [] if same else [f"file {name}"]
    others = (name for name, digest in environment.items() if value_digest(name, os.environ.get(name)) != digest)
    return [*changed, *(f"environment variable {name}" for name in others)]


def read_by_imports(modules: Iterator[str]) -> Reads:
    """What importing some modules has read in this process."""
    reads = Reads()
    for name in modules:
        reads.add(_IMPORTS.get(name, Reads()))
    return reads


_ACTIVE: list[_Noted] = []
"""The blocks that are recording now, one within another."""
_IMPORTS: dict[str, Reads] = {}
"""What importing each module has read in this process: it happens once, and later models depend on it as well."""


@dataclass
class _Noted:
    """The paths and variables noted in one recorded block, each with the module whose import read it, or None."""

    boundary: CodeType
    opened: dict[tuple[str | None, str], None] = field(default_factory=dict)
    asked: dict[tuple[str | None, str], tuple[str | None, tuple[str, int]]] = field(default_factory=dict)

    def file(self, path: str, *, reading: bool) -> None:
        """Note that a file was opened, unless it is part of the machine or of an installed package."""
        if not reading:
            return
        full = os.path.abspath(path)  # noqa: PTH100  (the working folder may be another one later)
        known = full.startswith(NOWHERE) or any(f"/{site}/" in full for site in SITES)
        frame = sys._getframe(2)  # of who opens it, behind the hook: a module of the standard library as a rule
        if known or frame.f_globals.get("__name__", "").startswith(FOR_CODE):
            return
        counts, module = self._owner(frame)
        if counts:
            self.opened[module, full] = None

    def variable(self, name: str, value: str | None) -> None:
        """Note that a variable was asked for, unless a library asked."""
        # os.getenv and ``in os.environ`` ask from within the standard library: who wants to know stands further up.
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_globals.get("__name__") in {"os", "_collections_abc", "collections.abc"}:
            frame = frame.f_back
        if frame is None or not _is_foreign(frame.f_code.co_filename):
            return
        counts, module = self._owner(frame)
        if counts:
            self.asked[module, name] = (value, (frame.f_code.co_filename, frame.f_lineno))

    def _owner(self, frame: FrameType | None) -> tuple[bool, str | None]:
        """Whether a read counts, and the module in whose import it happens."""
        # Up to the block that records: what is not called from there, as in another thread, is none of its reads.
        while frame is not None and frame.f_code is not self.boundary:
            if frame.f_code.co_name == "<module>":
                return _is_foreign(frame.f_code.co_filename), frame.f_globals.get("__name__")
            frame = frame.f_back
        return frame is not None, None

    def taken(self) -> dict[str | None, Reads]:
        """Everything that was noted, with digests, by module.

        A file that the block wrote first, as a cache, counts as what it was at the end; one that is gone is no input.
        """
        reads: dict[str | None, Reads] = {}
        for module, path in self.opened:
            if Path(path).is_file():
                with contextlib.suppress(OSError), Path(path).open("rb") as file:
                    reads.setdefault(module, Reads()).files[path] = file_digest(file, "sha256").hexdigest()
        lines = Counter(line for _, line in self.asked.values())
        for (module, name), (value, line) in self.asked.items():
            if lines[line] <= COPIES:
                reads.setdefault(module, Reads()).environment[name] = value_digest(name, value)
        return reads


class _Environment(type(os.environ)):  # type: ignore[misc]
    """``os.environ`` during a recording: it notes which variables are asked for, and by whom."""

    def __getitem__(self, key: str) -> str:
        try:
            value: str | None = super().__getitem__(key)
        except KeyError:
            value = None
        for noted in _ACTIVE:
            noted.variable(key, value)
        if value is None:
            raise KeyError(key)
        return value


@functools.cache
def _is_foreign(filename: str) -> bool:
    return not filename.startswith("<") and origin_of(Path(filename)) == "foreign"


@functools.cache
def _install() -> None:
    """Install the audit hook that hears of every file that is opened, once in a process.

    It cannot be taken out again; where nothing is recorded it returns at once.
    """

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and _ACTIVE and isinstance(arguments[0], (str, bytes)):
            # ``open`` gives a mode such as "rb", os.open only flags: O_RDONLY is 0, and no bit that could be tested.
            mode, flags = arguments[1], arguments[2]
            reading = set(mode) <= set("rbtU") if mode else flags & (os.O_WRONLY | os.O_RDWR) == 0
            for noted in _ACTIVE:
                noted.file(os.fsdecode(arguments[0]), reading=reading)

    sys.addaudithook(hook)
