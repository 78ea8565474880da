"""What a model returned, as named tensors: all of it is either declared or left out in so many words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from symbench.algebra.fields import Field, Scalar
from symbench.base.errors import ConfigError, Problem, near_miss, one_of

Path = tuple[str | int, ...]


def named(returned: Any, declared: Mapping[str, Field | None], where: str) -> dict[str, Tensor]:
    """The declared outputs of a model by name, everything that it returned accounted for.

    What has names of its own (mappings, dataclasses, named tuples) is matched by them, nested ones as ``aux.maps``;
    tuples and lists by position, in the order in which outputs are declared. A name that is declared None leaves out
    everything under it. Of an object with a ``tensor``, such as escnn's ``GeometricTensor``, that is taken.

    Args:
        returned: by the model.
        declared: the field of every output, or None.
        where: for messages: ``outputs``, or that of a submodule.

    Raises:
        ConfigError: something returned is not declared, or the other way round, or is no tensor of real numbers.
    """
    values = by_name(returned, list(declared))
    out = {name for name, field in declared.items() if field is None}
    kept = {name: value for name, value in values.items() if not any(_under(name, left) for left in out)}
    there = {name for name in declared if any(_under(each, name) for each in values)}
    missing = [name for name, field in declared.items() if name not in (there if field is None else kept)]
    more = [name for name, value in kept.items() if name not in declared and value is not None]
    if missing:
        got = f"{missing[0]!r} is declared and not returned"
        expected = f"what the model returns: {one_of(_shown(values)) or 'nothing'}"
        raise ConfigError(Problem(where, got, expected, near_miss(missing[0], more)))
    if more:
        raise ConfigError(_undeclared({name: kept[name] for name in more}, list(declared), where))
    return {name: _tensor(kept[name], name, where) for name in declared if declared[name] is not None}


def only(returned: Any) -> dict[str, Field | None]:
    """The fields of a model's outputs where the caller declared none: a single output, that no group moves.

    Raises:
        ConfigError: there is more than one.
    """
    values = {name: value for name, value in by_name(returned, ["output"]).items() if value is not None}
    if len(values) == 1:
        return dict.fromkeys(values, Scalar())
    names = [name if not name.startswith("[") else f"output_{name[1:-1]}" for name in values]
    example = ", ".join(f"{name!r}: {'Scalar()' if i == 0 else 'None'}" for i, name in enumerate(names))
    got = f"the model returns {one_of(_shown(values)) or 'nothing'}"
    remedy = f"Such as outputs={{{example}}}; None leaves one untested." if values else None
    raise ConfigError(Problem("outputs", got, "one output, or a field for each", remedy))


def by_name(returned: Any, names: Sequence[str]) -> dict[str, Any]:
    """Everything that was returned, by name; what has none takes ``names`` in turn, then ``[2]`` and so on."""
    leaves = list(_leaves(returned, ()))
    if any(isinstance(step, str) for path, _ in leaves for step in path):
        return {".".join(map(str, path)): value for path, value in leaves}
    return {names[i] if i < len(names) else f"[{i}]": value for i, (_, value) in enumerate(leaves)}


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Everything within nested containers, each with the names and positions that lead to it."""
    # The order of the questions decides: a named tuple is a tuple too, and what has a ``tensor`` may be a dataclass.
    names: Sequence[Any] = getattr(type(value), "_fields", ())
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves(each, (*path, str(name)))
    elif isinstance(value, (tuple, list)) and not names:
        for position, each in enumerate(value):
            yield from _leaves(each, (*path, position) if len(value) > 1 else path)
    elif isinstance(getattr(value, "tensor", None), Tensor):
        yield path, value.tensor
    elif names or (is_dataclass(value) and not isinstance(value, type)):
        for name in names or [each.name for each in fields(value)]:
            yield from _leaves(getattr(value, name), (*path, name))
    else:
        yield path, value


def _under(name: str, left_out: str) -> bool:
    return name == left_out or name.startswith(f"{left_out}.")


def _shown(values: Mapping[str, Any]) -> list[str]:
    """Names with the shapes of what they stand for."""
    return [f"{name!r} {tuple(v.shape) if isinstance(v, Tensor) else type(v).__name__}" for name, v in values.items()]


def _undeclared(more: Mapping[str, Any], declared: Sequence[str], where: str) -> Problem:
    """The problem of outputs that were returned and not declared, with an example that declares them."""
    got = f"the model also returns {one_of(_shown(more))}"
    first = next(iter(more))
    if first.startswith("["):  # a position without a name
        first = "other"
        got += f", after {one_of(map(repr, declared))}"
    example = ", ".join([*(f"{name!r}: ..." for name in declared), f"{first!r}: Scalar()"])
    remedy = f"Such as {{{example}}}; with {first!r}: None it is left untested."
    return Problem(where, got, "a field for everything that it returns", remedy)


def _tensor(value: Any, name: str, where: str) -> Tensor:
    """A declared output as a dense tensor of real numbers."""
    if not isinstance(value, Tensor):
        remedy = f"With {name!r}: None it is left untested."
        raise ConfigError(Problem(where, f"{name!r} is a {type(value).__name__}", "a tensor", remedy))
    if value.is_complex():
        remedy = "Return torch.view_as_real(...) of it."
        raise ConfigError(Problem(where, f"{name!r} is {value.dtype}", "real numbers", remedy))
    return value if value.layout == torch.strided else value.to_dense()
