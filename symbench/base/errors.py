"""Every error symbench raises on purpose.

::

    SymbenchError
    ├── ConfigError        exit 2   the suite, a name, a file or an option is wrong: nothing has run
    │   ├── SuiteError              a key of a suite file, with its line
    │   ├── UnknownName             a group, dataset, model or metric that does not exist
    │   └── ImpossiblePair          a group that cannot act on that field
    ├── CellError          exit 3   one cell failed; the others go on
    │   ├── ModelError              the model raised, or returned a wrong shape, NaN or infinity
    │   └── DataError               the dataset gave a sample that cannot be used
    ├── StoreError         exit 3   a disk failed while a run was under way; what is finished is kept
    └── Interrupted        exit 130 asked to stop; the store is valid and the same command resumes

A message says where, what was got, what was expected, and what to do about it. Whatever reaches the
command line and is not a ``SymbenchError`` is a bug of ours: exit 70.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MOST_CHARACTERS = 2000
"""A message may hold so much of what somebody else says; some would fill a manifest with it."""


def quoted(value: object) -> str:
    """``value`` as it is shown in a message: repr, cut to a line."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def encodable(text: str) -> str:
    """Text that UTF-8 can encode: lone surrogates, as in names of files, are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def cut(text: str, most: int = MOST_CHARACTERS) -> str:
    """Text cut to ``most`` characters, with a note of how many are missing."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text) - most:,} more characters)"


def described(error: BaseException) -> str:
    """What was raised, on one line: its kind and its words, which may raise in their turn."""
    try:
        words = str(error)
    except BaseException as again:
        words = f"(its message cannot be had: {type(again).__name__})"
    return cut(" ".join(f"{type(error).__name__}: {words}".split()))


def several(count: int, noun: str) -> str:
    """``1 cell``, ``2 cells``, of nouns that take an s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def one_of(names: Iterable[str]) -> str:
    """``a, b, c`` for "expected one of"; long lists are cut."""
    known = list(names)
    return ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")


def near_miss(name: str, known: Iterable[str], also: Mapping[str, str] | None = None) -> str | None:
    """The "Did you mean" sentence, or None when nothing known looks like ``name``.

    Args:
        name: what was given.
        known: what could have been.
        also: what others call the things that are known, and their names here.
    """
    by_lower = {called.lower(): right for called, right in (also or {}).items()} | {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f"Did you mean {by_lower[close[0]]!r}?" if close else None


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, in the parts a reader needs.

    Attributes:
        where: file and line, key, or the name of the thing at fault.
        got: what stands there.
        expected: what would be right.
        remedy: what to do, or the near miss.
    """

    where: str
    got: str
    expected: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        text = f"{self.where}: {cut(self.got)}" if self.where else cut(self.got)
        if self.expected:
            text += f", expected {cut(self.expected)}"
        text = encodable(text)
        if not text.endswith((".", "?", "!")):
            text += "."
        return f"{text} {encodable(self.remedy)}" if self.remedy else text


class SymbenchError(Exception):
    """Base of the errors that a user can cause. ``exit_code`` is what the command line exits with."""

    exit_code = 2

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))

    def __reduce__(self) -> tuple[type[SymbenchError], tuple[tuple[Problem, ...]]]:
        """Pickled by its problems: exceptions are pickled by their text otherwise, which is no problem."""
        return type(self), (self.problems,)


class ConfigError(SymbenchError):
    """Something that the user named or configured is wrong; nothing has been run or written."""


class SuiteError(ConfigError):
    """A suite file is wrong: unknown key, wrong type, value out of range, with file and line."""


class UnknownName(ConfigError):
    """A name that is neither built in nor offered by an installed plug-in."""


class ImpossiblePair(ConfigError):
    """A group that has no action on the field it was pointed at."""


class CellError(SymbenchError):
    """One cell cannot be measured. The run goes on; the cell is recorded as failed with this reason."""

    exit_code = 3


class ModelError(CellError):
    """The model raised, or its output has a wrong shape or is not finite."""


class DataError(CellError):
    """A sample of the dataset cannot be used."""


class StoreError(SymbenchError):
    """What is measured cannot be written any more. What is finished is kept; the same command resumes."""

    exit_code = 3


class Interrupted(SymbenchError):
    """The user asked to stop. What is finished is stored; the same command resumes."""

    exit_code = 130
