"""What a suite, and short declarations in code, call fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symbench.algebra.fields.base import ANY, Axis, Field, Grid
from symbench.algebra.fields.plane import Boxes, Flow, Keypoints
from symbench.algebra.fields.values import Embedding, Logits, Probabilities, Scalar, Vector, classes


def Nodes(axis: str, value: Field) -> Field:  # noqa: N802  (reads as a type in declarations)
    """Values along a named axis, ``(n, axis, *value)``; around another, pairs: ``(n, axis, axis, *value)``."""
    return value.over(Axis(axis))


USUAL = Scalar().over(Grid("image"))
"""What an input is taken for where nobody says what it is: numbers over a grid, ``(n, c, h, w)``."""


OUTPUTS: dict[str, Field] = {
    "logits": Logits(),
    "probabilities": Probabilities(),
    "embedding": Embedding(),
    "scalar": Scalar(),
    "vector": Vector(),
    "nodes": Scalar().over(Axis(ANY)),
    "node-vectors": Vector().over(Axis(ANY)),
    "image": Scalar().over(Grid(ANY)),
    "masks": Logits().over(Grid(ANY)),
    "flow": Flow().over(Grid(ANY)),
    "boxes": Boxes(),
    "keypoints": Keypoints(),
}
"""What a suite may say of an output, in its words; of values along an axis, along the one that the symmetry moves."""

CLASSES = "classes"
PARTS: dict[str, tuple[str, ...]] = {
    CLASSES: ("order", "group"),
    **dict.fromkeys(OUTPUTS, ()),
    "boxes": ("classes", "threshold", "hull", "most", "first"),
    "keypoints": ("pairs", "origin"),
}
"""What a suite may say of an output in full: a value, and what it may have said of it. Classes are class scores."""


def spelt(value: str, parts: Mapping[str, Any]) -> Field:
    """The field of a value that a suite says in full, with those of its ``PARTS`` that it says.

    Raises:
        ValueError: they do not fit one another, such as pairs of one joint.
    """
    if value == CLASSES:
        return classes(parts["order"], group=parts.get("group")) if "order" in parts else Logits()
    if value == "boxes":
        return Boxes(**parts)
    if value == "keypoints":
        pairs = tuple((first, second) for first, second in parts.get("pairs", ()))
        return Keypoints(**{**parts, "pairs": pairs})
    return OUTPUTS[value]


def declared(given: object) -> Mapping[str, Field] | None:
    """A module's ``inputs`` or ``outputs`` where it holds fields by name; what holds anything else is none."""
    holds = isinstance(given, Mapping) and given and all(isinstance(each, Field) for each in given.values())
    return given if holds and isinstance(given, Mapping) else None


def word_of(wanted: Field, otherwise: str) -> str:
    """What a suite calls a field, names of places aside."""
    return next((word for word, known in OUTPUTS.items() if known.key == wanted.key), otherwise)
