"""Groups: identity, compose, inverse, enumeration, designs and random elements.

To add one: write its file here, and add a row to ``GROUPS``. The law tests pick it up from the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from symbench.base.code import Code
from symbench.base.errors import ConfigError, Problem
from symbench.base.registry import Options, Row, Table, checked_options

if TYPE_CHECKING:
    from symbench.algebra.groups.base import Group


@dataclass(frozen=True)
class GroupRow(Row):
    """A group in the table.

    Attributes:
        family: what actions are looked up by: groups of one family give their elements in one form
            (``plane``: a 2x2 matrix; ``translations`` and ``slides``: pixels; ``rigid``: an angle and pixels;
            ``scalings``: a factor; ``symmetric``: a permutation). A plug-in may name its own.
        actions: ``ActionRow``s that a plug-in's own family brings along, or their import paths.
        alone: the kinds of values and places that a plug-in's own family leaves alone by theorem.
        sized: a group of the permutations, or other moves, of as many things as the leaf that it is on has places:
            ``n`` is theirs.
        order: how many elements it has, of its options; None where they have no end, or nothing is known.
        written: as formulas have it, ``O(3)``; as its name where that is the same.
        within: of a group in several pieces the name of the subgroup that each piece is which holds the identity.
    """

    family: str = ""
    actions: tuple[Any, ...] = ()
    alone: frozenset[str] = frozenset()
    sized: bool = False
    order: Callable[[Any], int] | None = None
    written: str = ""
    within: Mapping[str, str] = field(default_factory=dict)


class SymmetricOptions(Options):
    """``S<n>``."""

    n: Annotated[int, Field(ge=2, le=1_000_000)]


GROUPS = Table(
    "group",
    GroupRow,
    {
        "S<n>": GroupRow(
            "symbench.algebra.groups.symmetric:Symmetric",
            "all permutations of n things",
            SymmetricOptions,
            "symmetric",
            order=lambda options: math.factorial(options.n),
            aliases=("S_<n>", "Sym<n>", "symmetric", "permutation", "permutations"),
        ),
        "S": GroupRow(
            "symbench.algebra.groups.symmetric:Symmetric",
            "all permutations of the places of the leaf that it is on, as many as each sample has",
            Options,
            "symmetric",
            sized=True,
        ),
    },
)

HERE = Path()
PRODUCT = " x "
"""Between the factors of a direct product: ``group: SO2 x scalings``."""


def factors(name: str) -> list[str]:
    """The factors of a product's name, in one order however it is written; other groups are their own only factor."""
    return sorted(part.strip() for part in name.split(PRODUCT))


def order_of(name: str, *, where: str = "") -> int | None:
    """How many elements a group has, or a product of groups; None where they have no end, or it is code.

    Raises:
        ConfigError: there is no such group.
    """
    orders = [_order(part, where) for part in factors(name)]
    known = [order for order in orders if order is not None]
    return math.prod(known) if len(known) == len(orders) else None


def written(name: str) -> str:
    """A group as formulas have it, factor by factor; of code its name."""
    rows = {part.strip(): _row(part.strip()) for part in name.split(PRODUCT)}
    return PRODUCT.join(part if row is None else row.written or part for part, row in rows.items())


def within(name: str, stratum: str) -> str | None:
    """The subgroup that one piece of a group is, as formulas have it; None where it is none, or nobody knows."""
    rows = {part.strip(): _row(part.strip()) for part in name.split(PRODUCT)}
    apart = [part for part, row in rows.items() if row is not None and stratum in row.within]
    if len(apart) != 1:
        return None
    return written(PRODUCT.join(row.within[stratum] if part in apart and row else part for part, row in rows.items()))


def _row(name: str) -> GroupRow | None:
    """The row of a group by its name; None of code, and of what is not installed here."""
    try:
        return None if ":" in name else GROUPS.find(name, where=name)[0]
    except ConfigError:
        return None


def _order(name: str, where: str) -> int | None:
    if ":" in name:
        return None
    row, given = GROUPS.find(name, where=where)
    return None if row.order is None else row.order(checked_options(row.options, given, where))


def built_in_family(name: str) -> str | None:
    """The family of a group of our own, or of a product of such, by its name; None for others. Imports no plug-in."""
    known = [GROUPS.built_in(part) for part in factors(name)]
    return PRODUCT.join(sorted(found[0].family for found in known if found)) if all(known) else None


def row_of(name: str, *, where: str = "", folder: Path = HERE) -> GroupRow:
    """The row of a group that is no product: one of the table, or what code brings, which is then imported.

    Args:
        name: as a suite says it: ``C4``, ``mylab/sp4``, or ``file.py:attr``, a ``GroupRow`` or a ``Group``'s class.
        where: the suite's key, for messages.
        folder: what paths of files are relative to.

    Raises:
        UnknownName: there is no such group.
        ConfigError: the code cannot be imported, or holds no group.
    """
    code = Code.parse(name, folder=folder, where=where)
    if code is None:
        return GROUPS.find(name, where=where)[0]
    found = code.value()
    if isinstance(found, GroupRow):
        return found
    if isinstance(found, type) and hasattr(found, "compose"):
        return GroupRow(
            f"{code.loaded()}:{code.attribute}",
            (found.__doc__ or "").partition("\n")[0],
            family=getattr(found, "family", ""),
            actions=tuple(getattr(found, "actions", ())),
            alone=frozenset(getattr(found, "alone", ())),
        )
    got = f"{code.attribute} is a {type(found).__name__}"
    raise ConfigError(
        Problem(where, got, "a GroupRow, or a class of symbench.algebra.groups.base.Group with a family")
    )


def load(
    name: str, options: dict[str, object], *, where: str = "", folder: Path = HERE, places: int | None = None
) -> Group:
    """The group called ``name``; ``options`` holds those of all factors.

    Args:
        name: as a suite says it.
        options: of all factors.
        where: the suite's key, for messages.
        folder: what paths of files are relative to.
        places: how many the leaf that it is on has, for groups that permute them whatever their number.

    Raises:
        ConfigError: an option is missing or out of range.
        UnknownName: there is no such group.
    """
    from symbench.algebra.groups.product import product_of

    built = []
    for part in factors(name):
        row = row_of(part, where=where, folder=folder)
        given = {**options, **({} if ":" in part else GROUPS.find(part, where=where)[1])}
        if row.sized:
            if places is None or places < 2:
                got = f"{part} permutes the places of the leaf that it is on, and has {places or 'none'}"
                raise ConfigError(Problem(where, got, "two or more, along an axis"))
            chosen = checked_options(row.options, given, where or f"group {part}")
            built.append(row.load()(n=places, **chosen.model_dump()))
            continue
        chosen = checked_options(row.options, given, where or f"group {part}")
        built.append(row.load()(**chosen.model_dump()))
    return built[0] if len(built) == 1 else product_of(built)
