"""Units: in which an error is told, where that of the quantity itself is too coarse."""

from __future__ import annotations

import re

FINER = {"eV": "meV", "Ha": "mHa"}
"""What a thousandth of a unit is called: errors of energies are told in these."""
HEAD = re.compile(r"[^\s/·*^]+")


def finer(unit: str) -> tuple[float, str]:
    """How many of a finer unit one of this is, and the finer unit: ``eV/Å`` is 1000 ``meV/Å``; 1 where there is none.

    Only the first unit of a quotient or a product is made finer, and no power of it.
    """
    head = HEAD.match(unit)
    rest = unit[head.end() :] if head is not None else ""
    if head is None or head[0] not in FINER or rest.lstrip().startswith(("^", "**")):
        return 1.0, unit
    return 1000.0, FINER[head[0]] + rest


def each(unit: str, axis: str) -> str:
    """The unit for each place of an axis: ``meV`` and ``atoms`` are ``meV/atom``."""
    return f"{unit}/{axis.removesuffix('s') or axis}"
