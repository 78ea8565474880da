"""What a caller says of inputs and outputs, checked: names, fields, and axes that have to be the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from symbench.algebra.fields import USUAL, Category, Field, Nodes, Scalar
from symbench.base.errors import ConfigError, Problem, near_miss, one_of, quoted
from symbench.domains.common.places import PLACES

Declared = Field | str | None
"""A field, or its name for those without axes; None for an output that is left out."""
ROWS = "Nodes('nodes', Scalar())"


def plain() -> dict[str, Field]:
    """The fields without a name of their own, as code calls them: those that domains bring first."""
    brought = {row.word: row.field for row in PLACES.rows.values() if row.field is not None}
    return {**brought, "Scalar": Scalar(), "Category": Category()}


def written(shape: tuple[int, ...]) -> str:
    """What code would declare an output ``(n, ...)`` of this shape as, if it moves with the input."""
    brought = (row for row in PLACES.rows.values() if row.field is not None)
    words = (row.word for row in brought if row.field is not None and _axes(row.field) == len(shape))
    return next((f"{word}()" for word in words), ROWS)


def _axes(field: Field) -> int:
    """How many axes a tensor of such numbers has, with those of the samples and of channels."""
    return 2 + sum(each.dimensions for each in field.places)


def field_of(value: Any, where: str) -> Field:
    """A field as it was given, or by its name.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(value, Field):
        return value
    name = value if isinstance(value, str) else getattr(value, "__name__", "")
    known = plain()
    for word, field in known.items():
        if name.lower() == word.lower():
            return field
    expected = f"{', '.join(f'{word}()' for word in known)} or {ROWS} from symbench.fields"
    raise ConfigError(Problem(where, f"got {quoted(value)}", expected, near_miss(name, known)))


def fields_of_inputs(
    leaves: Mapping[str, Tensor], given: Any, group: str, kinds: Collection[str]
) -> dict[str, Field]:
    """The field of every input: as declared, else by its shape.

    Args:
        leaves: the inputs.
        given: what the caller says of them.
        group: its name, for messages.
        kinds: of the places and values that it moves.

    Raises:
        ConfigError: a field for what is no input, or a shape that says too little.
    """
    if isinstance(given, (Field, str, type)):
        given = dict.fromkeys(leaves, given)
    given = dict(given or {})
    for name in given:
        if name not in leaves:
            got, close = f"got a field for {quoted(name)}", near_miss(str(name), leaves)
            raise ConfigError(Problem("fields", got, f"one of the inputs: {one_of(leaves)}", close))
    return {
        name: field_of(given[name], f"fields[{name!r}]") if name in given else _guess(name, x, group, kinds)
        for name, x in leaves.items()
    }


def _guess(name: str, x: Tensor, group: str, kinds: Collection[str]) -> Field:
    """The field of an input that nothing was said of; ``(n,)`` has no axis that a group could move."""
    if x.ndim == 1:
        return Scalar()
    rows = Nodes("nodes", Scalar())
    pairs = "Axis" in kinds and x.ndim in {3, 4} and x.shape[1] == x.shape[2]
    brought = {_axes(row.field): row.field for row in PLACES.rows.values() if row.field is not None}
    guessed = {3: rows, 4: USUAL, **{n: each for n, each in brought.items() if n > 4}}.get(x.ndim)
    if guessed is not None and guessed.places[0].kind in kinds and not pairs:
        return guessed
    got = f"the shape {tuple(x.shape)} does not say what it is"
    expected = f"{ROWS} if its second axis are the nodes, Scalar() if nothing moves it"
    if pairs:
        expected = f"{ROWS} if only its rows are nodes, Nodes('nodes', {ROWS}) if it is a matrix over pairs of them"
    elif "Axis" not in kinds:
        expected = f"what {group} acts on: {'images (n, c, h, w)' if 'Grid' in kinds else one_of(sorted(kinds))}"
    remedy = f"Say what it is with fields={{{name!r}: ...}}."
    raise ConfigError(Problem(f"input {name!r}", got, expected, remedy))


def check_axes(inputs: Mapping[str, Field], outputs: Mapping[str, Field]) -> None:
    """Refuse outputs along an axis that no input has: what moves them would be anyone's guess.

    Raises:
        ConfigError: naming the axes that there are.
    """
    known = {axis: name for name, field in inputs.items() for axis in field.axes}
    for name, field in outputs.items():
        for axis in field.axes:
            if axis not in known:
                there = " and ".join(f"{name!r} has the axis {axis!r}" for axis, name in known.items())
                remedy = f"The input {there}." if known else "No input has a named axis: say so with fields=."
                expected = f"{one_of(map(repr, known))}, or Scalar() if nothing moves it" if known else None
                raise ConfigError(
                    Problem(f"output {name!r}", f"is along the axis {axis!r}, which no input has", expected, remedy)
                )


def moved_axis(inputs: Mapping[str, Field], on: str | None) -> Field:
    """The field of the input whose axis permutations move.

    Raises:
        ConfigError: there are several axes and ``on`` does not choose, or it is no input.
    """
    if on is not None:
        if on not in inputs:
            raise ConfigError(
                Problem("on", f"got {quoted(on)}", f"an input: {one_of(inputs)}", near_miss(on, inputs))
            )
        return inputs[on]
    outer = {field.axes[0]: name for name, field in inputs.items() if field.axes and field.grid is None}
    if len(outer) > 1:
        got = f"the inputs have the axes {one_of(map(repr, outer))}"
        raise ConfigError(
            Problem("on", got, "one of them to be moved", f"Choose, such as on={next(iter(outer.values()))!r}.")
        )
    return inputs[next(iter(outer.values()))] if outer else next(iter(inputs.values()))
