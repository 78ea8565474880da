"""The two tables: how families of groups move kinds of places and kinds of values, and what they leave alone."""

from __future__ import annotations

from dataclasses import dataclass

from symbench.base.registry import Options, Row, Table, domains


@dataclass(frozen=True)
class ActionRow(Row):
    """How a family moves one kind of places, or one kind of value.

    Attributes:
        family: the group family that it serves (see ``GroupRow``); for a product, see :func:`family`.
        kind: of the places (``Axis``, ``Grid``) or of the value (``Vector``).
        version: raised when its numbers change; part of every cell's key.
        named: only the places that the symmetry is on move, or only the values over these; others of the kind stay
            as they are.
    """

    family: str = ""
    kind: str = ""
    version: int = 1
    named: bool = False


@dataclass(frozen=True)
class Family:
    """What all groups have in common whose elements come in one form.

    Attributes:
        alone: the kinds of values and places that it leaves alone by theorem.
        relabels: it exchanges places and does nothing to what stands there, whatever that is.
    """

    alone: frozenset[str] = frozenset({"Axis", "Index"})
    relabels: bool = False


FAMILIES: dict[str, Family] = {"symmetric": Family(frozenset(), relabels=True)}
"""Families of no domain; see :func:`families`. A plug-in's group names in its row what its family leaves alone."""


def families() -> dict[str, Family]:
    """All families of our own, by name."""
    found = dict(FAMILIES)
    for domain in domains():
        found.update(getattr(domain, "FAMILIES", {}))
    return found


ACTIONS = Table(
    "action",
    ActionRow,
    {
        "rows": ActionRow(
            "symbench.algebra.actions.permute:PermutePlaces",
            "S<n> moves the places along the axis of the leaf it is on",
            Options,
            "symmetric",
            "Axis",
            named=True,
        ),
        "rename": ActionRow(
            "symbench.algebra.actions.permute:Rename",
            "indices of places follow the places that they name",
            Options,
            "symmetric",
            "Index",
        ),
    },
)
