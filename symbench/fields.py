"""Fields: the type of one leaf of a batch, which is what a group acts on.

A field is a value type over named axes. A dataset declares one for every leaf and target that it yields, a
model for every output, and the action is looked up by (group, field). escnn calls this a FieldType, e3nn
Irreps. Fields are plain values and import nothing, so that a plan is checked without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    """Numbers that no group moves: energies, features. ``(n, d)``, or ``(n,)``."""


@dataclass(frozen=True, repr=False)
class Category(Field):
    """A class index ``(n,)``, int64, that no group moves; as a target it makes the task a classification."""

    classes: int | None = None


@dataclass(frozen=True, repr=False)
class MultiLabel(Field):
    """0 or 1 for each of several labels ``(n, labels)``, that no group moves; as a target, a multi-label task."""

    labels: int | None = None


@dataclass(frozen=True, repr=False)
class Logits(Field):
    """Unnormalised scores: of each class, ``(n, classes)``; of the second of two, ``(n,)``; or of each label."""


@dataclass(frozen=True, repr=False)
class Probabilities(Field):
    """The same after softmax, or after a sigmoid where it is one a sample or one a label."""


@dataclass(frozen=True, repr=False)
class Embedding(Field):
    """A vector ``(n, d)`` that stands for its sample among others, as contrastive learning makes them."""


@dataclass(frozen=True, repr=False)
class Undeclared(Field):
    """An output of which nothing is said: what it is follows from the targets, and from what the model returns."""


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


TRIVIAL = ("Scalar", "Category", "MultiLabel", "Logits", "Probabilities", "Embedding", "Undeclared")
"""Keys of the fields that every group leaves alone."""
OUTPUTS: dict[str, Field] = {
    "logits": Logits(),
    "probabilities": Probabilities(),
    "embedding": Embedding(),
    "scalar": Scalar(),
    "image": Image(),
    "nodes": Nodes("*", Scalar()),
}
"""What a suite may say of an output, in its words. The axis ``*`` is the one that the symmetry moves."""


def declared(value: object) -> Mapping[str, Field] | None:
    """A module's ``inputs`` or ``outputs`` where it holds fields by name; what holds anything else is none."""
    holds = isinstance(value, Mapping) and value and all(isinstance(each, Field) for each in value.values())
    return value if holds and isinstance(value, Mapping) else None
