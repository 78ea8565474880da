"""Which leaves of a dataset a model takes. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from symbench.algebra.fields import Field, mask_of
from symbench.domains.common.models import ModelRow


def said(fields: Mapping[str, Field]) -> str:
    """Leaves with their fields, for messages: ``'positions' (Point over atoms) and 'kinds' (Category over
    atoms)``."""
    return " and ".join(f"{name!r} ({field})" for name, field in fields.items()) or "nothing"


def takes(
    inputs: Mapping[str, Field] | tuple[Field, ...],
    fields: Mapping[str, Field],
    optional: Mapping[str, Field] = MappingProxyType({}),
) -> tuple[str, ...] | None:
    """The leaves of a dataset that a model takes, in its order; None where it cannot be fed.

    Those that it declares by name, with values of the same kind at places of the same kinds; what else the dataset
    has is left aside. An only input may have another name, where just one leaf is of its field and no optional one is
    there.

    Args:
        inputs: what the model declares; fields without names match by their kind alone.
        fields: the dataset's leaves.
        optional: what it takes besides where the dataset has leaves of these names, at places of the same kinds: how
            their values move is for the dataset to say, and what it says is what is measured.
    """
    named = dict(inputs) if isinstance(inputs, Mapping) else {}
    if named and all(name in fields and fields[name].key == field.key for name, field in named.items()):
        there = (name for name, field in optional.items() if name in fields and _alike(fields[name], field))
        return tuple(dict.fromkeys((*named, *there)))
    if any(name in fields for name in (*named, *optional)):
        return None  # it is there, and something else; or beside it what is handed over by name
    wanted = list(named.values()) if named else list(inputs.values() if isinstance(inputs, Mapping) else inputs)
    alike = [leaf for leaf, field in fields.items() if len(wanted) == 1 and field.key == wanted[0].key]
    return tuple(alike) if len(alike) == 1 else None


def fed(row: ModelRow, fields: Mapping[str, Field]) -> tuple[str, ...] | None:
    """The leaves that a model of the table takes, as :func:`takes`; None also where samples differ in size and it
    would take padding for what is real."""
    found = takes(row.inputs, fields, row.optional)
    masks = {mask_of(axis) for leaf in found or () for axis in fields[leaf].axes}
    padded = any(mask in fields and mask not in (found or ()) for mask in masks)
    return None if row.one_size and padded else found


def _alike(one: Field, other: Field) -> bool:
    """Whether both stand at places of the same kinds."""
    return [each.kind for each in one.places] == [each.kind for each in other.places]
