"""Names to things: tables of groups, actions, datasets, models, metrics and figures, and the plug-ins beside them.

A table is a dictionary of rows, and a row is light: an import path that is followed on first use, one line
of summary, and a pydantic model of the options. Nothing here imports torch, so a suite is checked and
listed without it. A plug-in offers rows through the entry points ``symbench.groups``, ``symbench.actions``,
``symbench.datasets``, ``symbench.models``, ``symbench.metrics``, ``symbench.controls`` and ``symbench.figures`` and
is named ``distribution/entry``; the slash keeps it from ever shadowing a built-in.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import ErrorDetails, PydanticCustomError

from symbench.base.errors import ConfigError, Problem, UnknownName, described, near_miss, one_of, quoted


class Options(BaseModel):
    """Base of every options model: unknown keys are errors, types are not guessed, instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def otherwise(expected: str) -> WrapValidator:
    """One sentence for whatever is wrong with a value that may be of several types."""

    def check(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError as error:
            raise PydanticCustomError("one_of_several", expected) from error

    return WrapValidator(check)


Known = TypeVar("Known", bound=Options)


def checked_options(model: type[Known], values: Mapping[str, object], where: str) -> Known:
    """Options checked by their pydantic model; values that the model does not know are left to others.

    Raises:
        ConfigError: one is missing, of a wrong type or out of range.
    """
    known = {name: value for name, value in values.items() if name in model.model_fields}
    try:
        return model(**known)
    except ValidationError as error:
        raise ConfigError([_problem(details, where) for details in error.errors()]) from error


def _problem(details: ErrorDetails, where: str) -> Problem:
    """One of pydantic's errors, in a reader's words."""
    name = ".".join(map(str, details["loc"]))
    if details["type"] == "missing":
        remedy = f"Say {name}: in a suite, or options={{{name!r}: ...}} in Python."
        return Problem(where, f"the option {name!r} is missing", None, remedy)
    expected = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if not name:  # options that do not go together
        return Problem(where, expected)
    return Problem(where, f"got {name} {quoted(details['input'])}", expected)


def domains() -> list[ModuleType]:
    """The built-in domains: every folder of ``symbench.domains``. What only they know stands there, in rows.

    A domain's module holds dictionaries of rows under the names of the tables, such as ``DATASETS`` and ``ACTIONS``,
    and imports no torch.
    """
    found = pkgutil.iter_modules(importlib.import_module("symbench.domains").__path__, "symbench.domains.")
    return [importlib.import_module(each.name) for each in found if each.ispkg]


@dataclass(frozen=True)
class Row:
    """One thing that a suite can name.

    Attributes:
        path: where it lives, ``package.module:attribute``; imported on first use.
        summary: one line for ``symbench list``.
        options: the pydantic model of its options; must not import torch.
        aliases: what others call it, patterns among them: they name nothing here, and are answered with its name.
        runs_code: whether a suite that names it may run code which is neither ours nor a library's (``--no-code``).
    """

    path: str
    summary: str
    options: type[Options] = Options
    aliases: tuple[str, ...] = field(default=(), kw_only=True)
    runs_code: bool = field(default=False, kw_only=True)

    @property
    def module(self) -> str:
        """The module part of ``path``."""
        return self.path.partition(":")[0]

    @property
    def ours(self) -> bool:
        """Whether it is part of symbench, and not a plug-in's."""
        return self.path.startswith("symbench.")

    def load(self) -> Any:
        """Import the module and return the attribute."""
        module, _, attribute = self.path.partition(":")
        return getattr(importlib.import_module(module), attribute)


R = TypeVar("R", bound=Row)


class Table(Generic[R]):
    """The rows of one kind: built-in ones by name, plug-ins by ``distribution/name``.

    A built-in name may hold a parameter in angle brackets: ``C<n>`` answers to ``C4``. In capitals it stands for a
    word: ``torchvision/<NAME>`` answers to ``torchvision/MNIST``, ``huggingface/<PATH>`` to what has slashes as well,
    and ``<FILE.ts|pt>`` to a file of one of these suffixes.
    """

    def __init__(
        self,
        kind: str,
        row_type: type[R],
        rows: Mapping[str, R],
        *,
        entry_points: bool = True,
        own_first: bool = False,
    ) -> None:
        self.kind = kind
        self.row_type = row_type
        self.own = dict(rows)
        self.own_first = own_first
        self.group = f"symbench.{kind}s" if entry_points else None

    @cached_property
    def rows(self) -> dict[str, R]:
        """The built-in rows by name: those of every domain, found on first use, before those that belong to none."""
        brought = (getattr(domain, f"{self.kind.upper()}S", {}) for domain in domains())
        found = {name: row for rows in brought for name, row in rows.items()}
        return {**self.own, **found} if self.own_first else {**found, **self.own}

    def __iter__(self) -> Iterator[tuple[str, R]]:
        yield from self.rows.items()
        for name in sorted(self._plugins()):
            with contextlib.suppress(UnknownName):  # a broken plug-in is an error where it is used
                yield name, self._plugin(name)

    def broken(self) -> dict[str, str]:
        """Plug-ins that are installed and cannot be used, with the reason; iterating leaves them out."""
        reasons = {}
        for name in sorted(self._plugins()):
            try:
                self._plugin(name)
            except UnknownName as error:
                reasons[name] = str(error)
        return reasons

    def names(self) -> list[str]:
        """Every name that can be used: built-in ones first, then plug-ins."""
        return [*self.rows, *sorted(self._plugins())]

    def find(self, name: str, *, where: str = "") -> tuple[R, dict[str, int | str]]:
        """The row that ``name`` means, with the parameters in the name (``C4`` gives ``{"n": 4}``).

        Args:
            name: what was given.
            where: file, line and key that it was given at, or the option.

        Raises:
            UnknownName: nothing has that name, or the plug-in that has it cannot be loaded.
        """
        # Built-in names first, and plug-ins' only by their slash: no package that somebody installs can change what a
        # suite means.
        own = self.built_in(name)
        if own is not None:
            return own
        if name in self._plugins():
            return self._plugin(name), {}
        raise UnknownName(
            Problem(
                where,
                f"got {self.kind} {quoted(name)}",
                f"one of {one_of(self.names())}",
                self.near(name),
            )
        )

    def row(self, name: str) -> R:
        """The row of a name that is known to be one: a suite that holds it was checked."""
        return self.find(name, where=f"{self.kind} {name}")[0]

    def near(self, name: str) -> str | None:
        """The "Did you mean" sentence for a name in another case, one that others use, or a misspelt one."""
        for pattern, row in self.rows.items():
            for called in (pattern, *row.aliases):
                parameters = _match(called, name, ignore_case=True)
                right = None if parameters is None else _filled(pattern, {"name": name, **parameters})
                if right is not None and right != name:
                    return f"Did you mean {right!r}?"
        return near_miss(name, self.names(), self.aliases())

    def aliases(self) -> dict[str, str]:
        """What others call the things of this table, and their names here."""
        return {
            called: _filled(pattern, {"name": called})
            for pattern, row in self.rows.items()
            for called in row.aliases
            if "<" not in called
        }

    def built_in(self, name: str) -> tuple[R, dict[str, int | str]] | None:
        """The built-in row that ``name`` means, as :meth:`find`; None where there is none. Imports no plug-in."""
        if name in self.rows and "<" not in name:
            return self.rows[name], {}
        for pattern, row in self.rows.items():
            parameters = _match(pattern, name)
            if parameters is not None:
                return row, parameters
        return None

    def _plugins(self) -> dict[str, importlib.metadata.EntryPoint]:
        """What installed distributions offer for this table, by ``distribution/entry``; nothing is imported."""
        return {} if self.group is None else _installed(self.group, tuple(sys.path))

    def _plugin(self, name: str) -> R:
        """A plug-in's row, imported.

        Raises:
            UnknownName: it cannot be imported, or is no row of this table.
        """
        entry = self._plugins()[name]
        try:
            row = entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a plug-in does while importing is its own error
            got = f"{entry.value} cannot be imported: {described(error)}"
            raise UnknownName(Problem(f"plug-in {name}", got)) from error
        if not isinstance(row, self.row_type):
            raise UnknownName(
                Problem(
                    f"plug-in {name}",
                    f"{entry.value} is a {type(row).__name__}",
                    f"a {self.row_type.__module__}.{self.row_type.__name__}",
                )
            )
        return row


@lru_cache(maxsize=64)
def _installed(group: str, path: tuple[str, ...]) -> dict[str, importlib.metadata.EntryPoint]:
    """Plug-ins of a group by ``distribution/entry``, looked for once in each search path: tables ask many times."""
    del path
    entries = importlib.metadata.entry_points(group=group)
    return {f"{entry.dist.name}/{entry.name}": entry for entry in entries if entry.dist is not None}


_PARAMETERS = re.compile(r"<([a-z]+|[A-Z]+)((?:\.[a-z0-9|]+)?)>")
_WORDS = {"NAME": r"[A-Za-z0-9][A-Za-z0-9_.-]*", "PATH": r"[^:<>]+", "FILE": r"[^:<>]*[^:<>/]"}


def _filled(pattern: str, values: Mapping[str, int | str]) -> str:
    """A pattern with the parameters that are known."""
    return _PARAMETERS.sub(lambda parameter: str(values.get(parameter[1].lower(), parameter[0])), pattern)


def _match(pattern: str, name: str, *, ignore_case: bool = False) -> dict[str, int | str] | None:
    """The parameters in a name that a pattern fits; None where there are none, or it does not."""
    if "<" not in pattern:
        return None
    match = re.fullmatch(_PARAMETERS.sub(_group, pattern), name, re.IGNORECASE if ignore_case else 0)
    if not match:
        return None
    numbers = {parameter[1] for parameter in _PARAMETERS.finditer(pattern) if parameter[1].islower()}
    return {key: int(value) if key in numbers else value for key, value in match.groupdict().items()}


def _group(parameter: re.Match[str]) -> str:
    """The regular expression of one parameter of a pattern."""
    word, suffixes = parameter[1], parameter[2].removeprefix(".")
    # At most nine digits, and no leading 0: C04 would be another name for C4, and so another key for the same group.
    known = r"0|[1-9][0-9]{0,8}" if word.islower() else _WORDS[word]
    ending = rf"\.(?:{suffixes})" if suffixes else ""
    return f"(?P<{word.lower()}>(?:{known}){ending})"
