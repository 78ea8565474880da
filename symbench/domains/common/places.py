"""The kinds of places that domains know how to handle. Needs no torch.

To add one: write a subclass of :class:`~symbench.domains.common.handling.Handling` in the folder of the domain, and
in its ``__init__.py`` a row of ``PLACES`` under the kind of the places, or under the kinds of value and places as a
field's ``key`` has them, for such values alone. Of a kind without a row nothing is known, and
nothing is done with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from symbench.algebra.fields import Field
from symbench.base.registry import Row, Table


@dataclass(frozen=True)
class PlacesRow(Row):
    """One kind of places in the table. ``path`` names a :class:`~symbench.domains.common.handling.Handling`.

    Attributes:
        unit: what the distance from one to the next is called, if there is one.
        word: what declarations in code call numbers over such places: ``Image`` for ``Image()``.
        field: which field that is; None where there is no such word.
    """

    unit: str = ""
    word: str = ""
    field: Field | None = None


PLACES: Table[PlacesRow] = Table("place", PlacesRow, {}, entry_points=False)
