"""Leaves that go by a name which everybody understands alike, and what they then have to be declared as.

A crystal's cell that is declared as plain numbers stays where it is while its atoms are turned: that is another
crystal, and every model seems broken. To add one: a row of ``DECLARATIONS`` in the ``__init__.py`` of a domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from symbench.algebra.fields import Field
from symbench.base.registry import Row, Table


@dataclass(frozen=True)
class DeclarationRow(Row):
    """What a leaf of some name has to be, where a group of these families moves another leaf. It has no path.

    Attributes:
        beside: the leaf that is moved.
        families: of groups.
        value: the kind of value that it has to be.
    """

    beside: str = field(default="", kw_only=True)
    families: frozenset[str] = field(default=frozenset(), kw_only=True)
    value: str = field(default="", kw_only=True)


DECLARATIONS: Table[DeclarationRow] = Table("declaration", DeclarationRow, {}, entry_points=False)


def misdeclared(fields: Mapping[str, Field], families: frozenset[str]) -> tuple[str, DeclarationRow] | None:
    """A leaf that would stay where it is while groups of these families move what it belongs to; None if none is."""
    for leaf, row in DECLARATIONS:
        wrong = leaf in fields and row.beside in fields and fields[leaf].value.kind != row.value
        if wrong and families & row.families:
            return leaf, row
    return None
