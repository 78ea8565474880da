"""Actions: how a group moves a field, and the two tables that say so.

A field is a value over places. Two lookups say how a group moves one: ``(family, kind of places)`` for each of its
places, and ``(family, kind of value)`` for its value; never one over their product. To add one: write its file here,
and add a row to ``ACTIONS``; a plug-in offers rows under the entry point ``symbench.actions``, for our groups and its
own. What a family leaves alone by theorem stands in ``FAMILIES``. A kind without a row is an error, never left alone
in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symbench.algebra.actions.lookup import Lookup, family, rows
from symbench.algebra.actions.table import ACTIONS, ActionRow, Family, families
from symbench.algebra.fields import Declared, Field
from symbench.base.registry import checked_options

if TYPE_CHECKING:
    from symbench.algebra.actions.base import Action
    from symbench.algebra.groups.base import Group

__all__ = ["ACTIONS", "ActionRow", "Family", "Lookup", "families", "family", "load", "rows"]


def load(
    group: Group,
    group_name: str,
    field: Field,
    options: dict[str, Any],
    *,
    on: Field,
    name: str | None = None,
    leaf: str = "",
    lookup: Lookup | None = None,
) -> Action:
    """The action of ``group`` on ``field``: that on its value, and those on its places; what does not move stays.

    Args:
        group: the group, built.
        group_name: its name in the suite.
        field: the field of the leaf, target or output that is to be moved.
        options: the symmetry's options; each action takes those that it knows.
        on: the field of the leaf that the symmetry is on; its places are what permutations move.
        name: the suite's ``action:``.
        leaf: what the field is of, for messages.
        lookup: the group's actions, where they are known already.

    Raises:
        ConfigError: nobody says what the group does to a part of the field, or an option is missing or out of range;
            or a declared representation is none of this group.
    """
    from symbench.algebra.actions.compose import composed
    from symbench.algebra.actions.declared import DeclaredAction
    from symbench.algebra.actions.factor import FactorAction
    from symbench.algebra.actions.names import MoveNames
    from symbench.algebra.groups.product import Product

    lookup = lookup or Lookup.of(group_name, on, name)
    parts: list[tuple[int | None, Action]] = []
    if isinstance(field.value, Declared):
        parts.append((None, DeclaredAction(group, field.value)))
    for number, found, row in lookup.parts(leaf, field):
        chosen = checked_options(row.options, options, f"action {found!r}")
        part = field.value if number is None else field.places[number]
        acting = row.load()
        factor = lookup.factor(row)
        if factor is None or not isinstance(group, Product):
            action = acting.of(group, chosen, part)
        else:
            action = FactorAction(group, factor, acting.of(group.parts[factor], chosen, part))
        named = number is not None and field.places[number].after and field.value.names
        parts.append((number, MoveNames(action) if named else action))
    return composed(field, group.element_ndim, parts)
