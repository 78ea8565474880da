"""The action on a whole field, from those on its value and on each of its places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symbench.algebra.actions.base import KINDS, Action, Generator, Kind, Move, TrivialAction, along
from symbench.algebra.fields import Field

Restore = Callable[[Tensor], Tensor]
"""Brings what was moved, ``(k, n, ...)``, back into the form of the field."""


@dataclass(frozen=True)
class Part:
    """One part of a field: its value, or some of its places.

    Attributes:
        field: all of it.
        number: which of its places; None for the value.
    """

    field: Field
    number: int | None = None

    @property
    def on_grid(self) -> bool:
        """Whether these are the places of a grid."""
        return self.number is not None and self.field.places[self.number].after

    def seen(self, x: Tensor) -> tuple[Tensor, Restore]:
        """A tensor ``(n, *axes, *value, *grid)`` as actions on this part take it, and what brings it back.

        An axis is taken as ``(n, places, rest)``, a grid as ``(n, rest, *grid)``, a value as ``(n, places, *value)``.
        """
        if self.number is None:
            return _of_value(x, self.field.before, self.field.behind)
        if self.field.places[self.number].after:
            return _of_grid(x, self.field.behind)
        axes = [each for each in self.field.places[: self.number] if not each.after]
        return _of_axis(x, 1 + sum(each.dimensions for each in axes))

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one sample, as actions on this part take it."""
        return tuple(self.seen(torch.empty(1, *shape, device="meta"))[0].shape[1:])


def _of_axis(x: Tensor, axis: int) -> tuple[Tensor, Restore]:
    first = x.movedim(axis, 1)
    rest = first.shape[2:]

    def restore(moved: Tensor) -> Tensor:
        return moved.unflatten(-1, rest).movedim(2, axis + 1) if rest else moved[..., 0]

    return (first.flatten(2) if rest else first[..., None]), restore


def _of_grid(x: Tensor, dimensions: int) -> tuple[Tensor, Restore]:
    rest = x.shape[1 : x.ndim - dimensions]
    if len(rest) == 1:
        return x, lambda moved: moved

    def restore(moved: Tensor) -> Tensor:  # the grid may come out smaller, where a border is cropped
        return moved.unflatten(2, rest) if rest else moved[:, :, 0]

    return (x.flatten(1, len(rest)) if rest else x[:, None]), restore


def _of_value(x: Tensor, before: int, behind: int) -> tuple[Tensor, Restore]:
    ahead = list(range(1 + before, 1 + before + behind))
    last = x.movedim(list(range(x.ndim - behind, x.ndim)), ahead)
    places = last.shape[1 : 1 + before + behind]

    def restore(moved: Tensor) -> Tensor:
        wide = moved.unflatten(2, places) if places else moved[:, :, 0]
        return wide.movedim([axis + 1 for axis in ahead], list(range(wide.ndim - behind, wide.ndim)))

    return (last.flatten(1, before + behind) if places else last[:, None]), restore


class FieldAction(Action):
    """Moves the value, then the places, each by its own action: they act on different axes, and so commute.

    Args:
        element_ndim: of the group's elements.
        parts: those that move, at least one.
    """

    def __init__(self, element_ndim: int, parts: Sequence[tuple[Part, Action]]) -> None:
        self.element_ndim = element_ndim
        self.parts = tuple(parts)
        self.in_input_units = next((action.in_input_units for _, action in parts if action.in_input_units), None)
        self.moves_values = any(part.number is None for part, _ in parts)
        of = [action.factors for _, action in parts]
        self.factors = frozenset[int]().union(*of) if all(of) else frozenset()
        self.beside = tuple(name for _, action in parts for name in action.beside)

    @property
    def remark(self) -> str | None:
        """Every part's."""
        return "; ".join(said for _, action in self.parts if (said := action.remark) is not None) or None

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Every part has to fit; what computes with other leaves moves values along one axis, and nothing else."""
        field = self.parts[0][0].field
        if self.beside and (len(self.parts) > 1 or field.before != 1 or field.behind):
            return f"{field} is moved by {' and '.join(self.beside)}, which is done along one axis, and by itself"
        reasons = (action.check(part.shape(shape)) for part, action in self.parts)
        return next((reason for reason in reasons if reason is not None), None)

    def kinds(self, g: Tensor) -> list[Kind]:
        """The worst of the parts' kinds, element by element."""
        each = [action.kinds(g) for _, action in self.parts]
        return [max(kinds, key=KINDS.index) for kinds in zip(*each, strict=True)]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """The first part by the elements as they come, the others by one for each pair of element and sample."""
        if len(self.parts) > 1:
            return lambda x: self._one_after_another(g, x, lambda action, h, y: action.bind(h, y)(y))
        part, action = self.parts[0]
        move = action.bind(g, part.seen(like)[0])

        def moved(x: Tensor) -> Tensor:
            seen, restore = part.seen(x)
            return restore(move(seen))

        return moved

    def _one_after_another(self, g: Tensor, x: Tensor, moving: Callable[[Action, Tensor, Tensor], Tensor]) -> Tensor:
        shared, n = g.ndim == 1 + self.element_ndim, len(x)
        each = (g.repeat_interleave(n, 0) if shared else g.flatten(0, 1))[None]
        moved = x[None]
        for number, (part, action) in enumerate(self.parts):
            if number == 0:
                seen, restore = part.seen(x)
                moved = restore(moving(action, g, seen))
            else:
                seen, restore = part.seen(moved.flatten(0, 1))
                moved = restore(moving(action, each, seen))[0].unflatten(0, (len(g), n))
        return moved

    def carried(self, x: Tensor, beside: Sequence[Tensor]) -> Tensor:
        """That of the only part, where it needs other leaves."""
        return self.parts[0][1].carried(x, beside) if self.beside else x

    def prepare(self, x: Tensor) -> Tensor:
        """Every part's."""
        return self._in_turn(x, lambda action, seen: action.prepare(seen))

    def finish(self, x: Tensor) -> Tensor:
        """Every part's."""
        if self.beside:
            return self.parts[0][1].finish(x)
        return self._in_turn(x, lambda action, seen: action.finish(seen))

    def _in_turn(self, x: Tensor, change: Callable[[Action, Tensor], Tensor]) -> Tensor:
        for part, action in self.parts:
            seen, restore = part.seen(x)
            x = restore(change(action, seen)[None])[0]
        return x

    def exchanges(self, g: Tensor, shape: tuple[int, ...]) -> list[bool]:
        """Those of any part."""
        each = [action.exchanges(g, part.shape(shape)) for part, action in self.parts]
        return [any(some) for some in zip(*each, strict=True)]

    def inside(self, g: Tensor, like: Tensor) -> Tensor | None:
        """That of the places on a grid."""
        grids = [(part, action) for part, action in self.parts if part.on_grid]
        return next((action.inside(g, part.seen(like)[0]) for part, action in grids), None)

    def lost(self, g: Tensor, x: Tensor) -> Tensor | None:
        """That of the value, where it stands at no places."""
        part, action = self.parts[0]
        return None if part.field.places else action.lost(g, part.seen(x)[0])

    def held(self, g: Tensor, moved: Tensor) -> Tensor:
        """Likewise."""
        part, action = self.parts[0]
        return moved if part.field.places else action.held(g, moved[:, :, None])[:, :, 0]

    def of_outputs(self) -> Action:
        """Every part's."""
        return FieldAction(self.element_ndim, [(part, action.of_outputs()) for part, action in self.parts])

    def cropped(self, x: Tensor) -> Tensor:
        """Every part's."""
        return self._in_turn(x, lambda action, seen: action.cropped(seen))

    def reference(self, g: Tensor, *, steps: int = 1) -> Move | None:
        """Every part's; None where one of them has none."""
        if any(action.reference(g[:1], steps=steps) is None for _, action in self.parts):
            return None

        def moving(action: Action, h: Tensor, seen: Tensor) -> Tensor:
            move = action.reference(h, steps=steps)
            if move is None:
                raise ValueError("there is no reference action")
            return move(seen)

        return lambda x: self._one_after_another(g, x, moving)

    def generators(self) -> Mapping[str, Generator]:
        """Those along which all parts move, or stay where they are as parts of another factor do.

        Flows are done one after the other, derivatives add up.
        """
        known = {name: each for _, action in self.parts for name, each in action.generators().items()}
        found = {}
        for name, generator in known.items():
            each = [(part, along(action, name, generator)) for part, action in self.parts]
            moving = [(part, own) for part, own in each if own is not None]
            if len(moving) == len(each):
                found[name] = _joined(moving)
        return found


def _joined(parts: Sequence[tuple[Part, Generator]]) -> Generator:
    def flow(x: Tensor, t: float) -> Tensor:
        for part, generator in parts:
            seen, restore = part.seen(x)
            x = restore(generator.flow(seen, t)[None])[0]
        return x

    def derivative(x: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for part, generator in parts:  # the product rule: exp(tX) acts on the parts one after the other
            seen, restore = part.seen(x)
            total = total + restore(generator.derivative(seen)[None])[0]
        return total

    first = parts[0][1]
    return Generator(first.unit, flow, derivative, first.factor)


def composed(field: Field, element_ndim: int, parts: Sequence[tuple[int | None, Action]]) -> Action:
    """The action on a field whose moving parts have these actions; each by the number of its places, or None."""
    if not parts:
        return TrivialAction()
    alone = len(parts) == 1 and parts[0][0] == 0 and not field.value.names  # names stand there without channels
    if alone and field.grid is not None and len(field.places) == 1:
        return parts[0][1]  # pixels behind channels are what actions on grids take as they come
    return FieldAction(element_ndim, [(Part(field, number), action) for number, action in parts])
