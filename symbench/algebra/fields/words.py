"""What a suite, and short declarations in code, call fields."""

from __future__ import annotations

from collections.abc import Mapping

from symbench.algebra.fields.base import ANY, Axis, Field, Grid
from symbench.algebra.fields.values import Embedding, Logits, Probabilities, Scalar, Vector


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
}
"""What a suite may say of an output, in its words; of values along an axis, along the one that the symmetry moves."""


def declared(given: object) -> Mapping[str, Field] | None:
    """A module's ``inputs`` or ``outputs`` where it holds fields by name; what holds anything else is none."""
    holds = isinstance(given, Mapping) and given and all(isinstance(each, Field) for each in given.values())
    return given if holds and isinstance(given, Mapping) else None


def word_of(wanted: Field, otherwise: str) -> str:
    """What a suite calls a field, names of places aside."""
    return next((word for word, known in OUTPUTS.items() if known.key == wanted.key), otherwise)
