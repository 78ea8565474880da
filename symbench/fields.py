"""Fields: the type of one leaf of a batch, which is what a group acts on.

A field is a value type over named axes. A dataset declares one for every leaf and target that it yields, a
model for every output, and the action is looked up by (group, field). escnn calls this a FieldType, e3nn
Irreps. Fields are plain values and import nothing, so that a plan is checked without torch.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """Base of all fields. ``str(field)`` is how messages and manifests show it."""

    def __str__(self) -> str:
        return type(self).__name__

    @property
    def key(self) -> str:
        """What actions are looked up by: the type's name, axes left out."""
        return type(self).__name__


@dataclass(frozen=True, repr=False)
class Image(Field):
    """Pixels ``(n, c, h, w)``, float in [0, 1] as inputs; any float map of that shape as outputs."""


@dataclass(frozen=True, repr=False)
class Scalar(Field):
    """Numbers that no group moves: logits, energies, features. ``(n, d)``."""


@dataclass(frozen=True, repr=False)
class Category(Field):
    """A class index ``(n,)``, int64, that no group moves; as a target it makes the task a classification."""

    classes: int | None = None


@dataclass(frozen=True)
class Nodes(Field):
    """Values of type ``value``, one for each place along the named ``axis``: ``(n, nodes, *value)``."""

    axis: str
    value: Field

    def __str__(self) -> str:
        return f"Nodes({self.axis!r}, {self.value})"

    @property
    def key(self) -> str:
        """``Nodes[Scalar]`` and the like: the axis' name is no part of it."""
        return f"Nodes[{self.value.key}]"


def axes(field: Field) -> list[str]:
    """The named axes of a field, outermost first."""
    return [field.axis, *axes(field.value)] if isinstance(field, Nodes) else []


TRIVIAL = ("Scalar", "Category")
"""Keys of the fields that every group leaves alone."""
