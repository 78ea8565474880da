"""What a model returned, by the names that it was declared to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor

from symbench.algebra.fields import Field, Undeclared, word_of
from symbench.base.errors import ModelError, Problem
from symbench.domains.common.models.detections import packed


class InOrder(tuple[Any, ...]):
    """Outputs in order that have names as well, of whatever letters: what programs in files return.

    They are read by name where one of those that are declared is among them, and else by place.
    """

    names: tuple[str, ...]

    def __new__(cls, values: Sequence[Any], names: Sequence[str]) -> InOrder:
        """The outputs with the name of each."""
        made = super().__new__(cls, values)
        made.names = tuple(names)
        return made

    def goes_by(self, declared: Sequence[str]) -> bool:
        """Whether one of these is a name of its own."""
        return any(name in self.names for name in declared)


@dataclass(frozen=True)
class Returned:
    """What came back: the declared outputs by name, and a remark where something was left aside.

    Attributes:
        outputs: floating point, ``(n, ...)`` each.
        key: what the model itself calls the first of them; None where it gives no names.
        remark: how that was found, where nothing was declared and there was a choice.
    """

    outputs: dict[str, Tensor]
    key: str | None
    remark: str | None = None


def read(returned: Any, declared: Mapping[str, Field], count: int, model: str, noun: str = "output") -> Returned:
    """Find the declared outputs in what a model returned.

    Mappings (a ``ModelOutput`` of transformers is one), dataclasses and named tuples have names of their own. Tuples
    and lists are read by place, in the order of the declaration, and a tensor by itself is the only output. Where
    nothing was declared, the only tensor that can be an output is taken, and the first one of a tuple. Detections
    become boxes, see :mod:`symbench.domains.common.models.detections`.

    Args:
        returned: whatever the module returned.
        declared: the field of every output, in order.
        count: samples that it was given.
        model: its name, for messages.
        noun: what these are, for messages: only outputs can be declared otherwise.

    Raises:
        ModelError: an output is missing, or cannot be one; with what came back, and the line that would declare it.
    """
    if isinstance(returned, InOrder) and returned.goes_by(list(declared)):
        returned = dict(zip(returned.names, returned, strict=True))
    returned = packed(tensor_of(returned), declared, count, model)
    named = named_outputs(returned, list(declared))
    first = next(iter(declared))
    key = first if isinstance(returned, Mapping) or is_dataclass(returned) else None
    undeclared = len(declared) == 1 and isinstance(declared[first], Undeclared)
    if not undeclared:
        return Returned({name: _checked(name, named, declared, count, model, noun) for name in declared}, key)
    if _is_plain(returned) and not hasattr(returned, "_fields"):
        value, remark = _first(returned, count, model)
        return Returned({first: value}, None, remark)
    if first not in named:
        own = _only(named, count, model)
        return Returned({first: named[own]}, own, f"{own!r} is taken for its output, the only one that can be")
    return Returned({first: _checked(first, named, declared, count, model)}, key)


def _first(returned: Sequence[Any], count: int, model: str) -> tuple[Tensor, str | None]:
    """The first that can be an output of a tuple of which nothing was declared, and a remark if others can be too."""
    usable = [each for each in map(tensor_of, returned) if isinstance(each, Tensor) and _usable(each, count)]
    if not usable:
        got = f"returned a {type(returned).__name__} of {' and '.join(map(_shape, returned)) or 'nothing'}"
        raise ModelError(Problem(model, got, f"a floating-point tensor of shape ({count}, ...) in it"))
    shapes = " and ".join(_shape(each) for each in usable)
    remark = f"it returned {shapes}: the first is taken for its output" if len(usable) > 1 else None
    return usable[0], remark


def named_outputs(returned: Any, names: Sequence[str]) -> dict[str, Any]:
    """What a model returned, by its own names, or by these in their order where it has none."""
    if isinstance(returned, Mapping):
        return {str(name): _single(value) for name, value in returned.items()}
    known: Sequence[str] = getattr(type(returned), "_fields", ())
    if is_dataclass(returned):
        known = [each.name for each in fields(returned)]
    if known and (is_dataclass(returned) or names[0] in known):
        return {name: _single(getattr(returned, name)) for name in known}
    if _is_plain(returned):
        return {name: _single(value) for name, value in zip(names, returned, strict=False)}
    return {names[0]: tensor_of(returned)}


def _is_plain(returned: Any) -> bool:
    return isinstance(returned, (tuple, list))


def _single(value: Any) -> Any:
    """The first tensor of a tuple or list under a name, where there is one; anything else as it is."""
    if _is_plain(value):
        return next((found for each in value if isinstance(found := tensor_of(each), Tensor)), value)
    return tensor_of(value)


def tensor_of(value: Any) -> Any:
    """The tensor of what stands for one with more said of it, as a GeometricTensor of escnn does; else the value."""
    found = None if isinstance(value, (Tensor, Mapping)) else getattr(value, "tensor", None)
    return found if isinstance(found, Tensor) else value


def _usable(value: Any, count: int) -> bool:
    """Whether it can be an output: floating point, with an axis of samples."""
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.ndim > 0
        and len(value) == count
        and value.numel() > 0
    )


def _only(named: Mapping[str, Any], count: int, model: str) -> str:
    """The one tensor that can be an output, of a model of which nothing was declared."""
    usable = [name for name, value in named.items() if _usable(value, count)]
    if len(usable) == 1:
        return usable[0]
    if not usable:
        got = f"returned {_said(named)}"
        raise ModelError(Problem(model, got, f"a floating-point tensor of shape ({count}, ...) among them"))
    first = next((name for name in usable if named[name].ndim == 2), usable[0])
    remedy = f"Say which with outputs: {{{first}: {_word(named[first], Undeclared())}}} in the model's entry."
    raise ModelError(Problem(model, f"returned {_said(named)}", "one output, or a declaration", remedy))


def _checked(
    name: str, named: Mapping[str, Any], declared: Mapping[str, Field], count: int, model: str, noun: str = "output"
) -> Tensor:
    value = named.get(name)
    if isinstance(value, Tensor) and _usable(value, count):
        return value
    word = word_of(declared[name], "logits")
    if name not in named:
        got = f"returned {_said(named)}, and no {name!r}"
        expected = f"every output that is declared: {', '.join(map(repr, declared))}"
        given = next((key for key, each in named.items() if _usable(each, count)), name)
        remedy = f"Name it as the model does: outputs: {{{given}: {word}}} in its entry."
        raise ModelError(Problem(model, got, expected, remedy))
    unsaid = isinstance(declared[name], Undeclared)
    several = "masks: masks}, {boxes: boxes} or {logits: logits" if unsaid else f"{name}: {word}"
    line = f"outputs: {{{several}}} in the model's entry names them by the keys of a dict, or a tuple's in order."
    declares = line if noun == "output" else None
    if isinstance(value, Tensor):
        got = f"{noun} {name!r} is {value.dtype} of shape {tuple(value.shape)}"
        raise ModelError(Problem(model, got, f"floating point of shape ({count}, ...)", declares))
    raise ModelError(Problem(model, f"{noun} {name!r} is {_shape(value)}", "a tensor", declares))


def _said(named: Mapping[str, Any]) -> str:
    """What came back, with shapes: ``'out' (n, 2) and 'aux' (n, 8, 15, 15)``."""
    return " and ".join(f"{name!r} {_shape(value)}" for name, value in named.items()) or "nothing"


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        sizes = ", ".join(["n", *map(str, value.shape[1:])]) if value.ndim else ""
        return f"({sizes}{',' if value.ndim == 1 else ''})" + (
            "" if value.is_floating_point() else f" of {value.dtype}"
        )
    if _is_plain(value):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def _word(value: Tensor, field: Field) -> str:
    """The likeliest declaration: what the field says, or else maps for what looks like maps."""
    return word_of(field, "image" if value.ndim == 4 else "logits")
