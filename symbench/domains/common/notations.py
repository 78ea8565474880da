"""Other ways in which numbers may be written than those of a value are: y before x, or sizes in place of edges.

An output that is written otherwise than it is declared breaks any symmetry, and no other action mends it. To add one:
a row of ``NOTATIONS`` in the ``__init__.py`` of a domain.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from symbench.base.registry import Row, Table


@dataclass(frozen=True)
class NotationRow(Row):
    """A notation. ``path`` names what brings values ``(..., *value)`` from it to how they are declared.

    It is called with them, float64, and with the declared ``value``.

    Attributes:
        kind: of the value.
        words: what is said of an output that is written so.
    """

    kind: str = field(default="", kw_only=True)
    words: str = field(default="", kw_only=True)


NOTATIONS: Table[NotationRow] = Table("notation", NotationRow, {}, entry_points=False)
