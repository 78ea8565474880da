"""What a user's code may return that is no module, or one for a library, and what makes a module of leaves of it.

To add one: write what takes the object and is a module, and in a domain's ``__init__.py`` a row of ``ADAPTERS``.
Needs no torch. A module that declares its ``inputs`` is what it says, and is left as it is.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from symbench.algebra.fields import declared
from symbench.base.registry import Row, Table

VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class AdapterRow(Row):
    """A kind of object that can be run. ``path`` names what is called with it and returns a module.

    Attributes:
        marks: the methods by which an object that is no module is told, so that no library is imported to look.
        takes: parameters of ``forward`` by which a module is told.
        knows: further ones that the adapter hands over; a module that needs others is none of its.
    """

    marks: tuple[str, ...] = ()
    takes: frozenset[str] = frozenset()
    knows: frozenset[str] = frozenset()

    def suits(self, value: Any) -> bool:
        """Whether this is what the adapter is for."""
        forward = getattr(value, "forward", None)
        if not self.takes:
            return forward is None and all(callable(getattr(value, mark, None)) for mark in self.marks)
        if not callable(forward) or declared(getattr(value, "inputs", None)) is not None:
            return False
        try:
            known = inspect.signature(forward).parameters.values()
        except (TypeError, ValueError):  # none that can be read, as scripted modules may have
            return False
        empty = inspect.Parameter.empty
        needed = {each.name for each in known if each.default is empty and each.kind not in VARIADIC}
        return self.takes <= {each.name for each in known} and needed <= self.takes | self.knows


ADAPTERS: Table[AdapterRow] = Table("adapter", AdapterRow, {}, entry_points=False)


def adapted(value: Any) -> Any:
    """The module that stands for what a user's code returned; what is of no known kind is left as it is."""
    if isinstance(value, type):
        return value
    row = next((row for _, row in ADAPTERS if row.suits(value)), None)
    return value if row is None else row.load()(value)
