"""What a user's code may return in place of a module, and what makes a module of it. Needs no torch.

To add one: write what takes the object and is a module, and in a domain's ``__init__.py`` a row of ``ADAPTERS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from symbench.base.registry import Row, Table


@dataclass(frozen=True)
class AdapterRow(Row):
    """A kind of object that can be run. ``path`` names what is called with it and returns a module.

    Attributes:
        marks: the methods by which such an object is told, so that no library is imported to look.
    """

    marks: tuple[str, ...] = ()


ADAPTERS: Table[AdapterRow] = Table("adapter", AdapterRow, {}, entry_points=False)


def adapted(value: Any) -> Any:
    """The module that stands for what a user's code returned; what is of no known kind is left as it is."""
    if isinstance(value, type):
        return value
    kinds = (row for _, row in ADAPTERS if all(callable(getattr(value, mark, None)) for mark in row.marks))
    row = next(kinds, None)
    return value if row is None else row.load()(value)
