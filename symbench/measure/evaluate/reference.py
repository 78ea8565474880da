"""What the first pass found of an output: what every deviation is measured from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, TrivialAction
from symbench.algebra.comparison import Comparison
from symbench.algebra.fields import Classes
from symbench.base.environment import sent
from symbench.base.slices import slices
from symbench.measure.assemble import Prepared
from symbench.measure.evaluate.by_place import ByPlace
from symbench.measure.evaluate.moves import Bound
from symbench.measure.evaluate.rim import Rim
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.store import PART
from symbench.measure.tasks import Task, directions

MOST_OTHERS = 4096
"""Unmoved samples among which moved embeddings look for their own. More make recall at 1 lower, so records say how
many there were."""


@dataclass(frozen=True)
class Reference:
    """What the identity pass found, for one output.

    Attributes:
        task: output and target.
        scratch: holds the outputs, part by part.
        shape: of one output.
        mean: of what is compared, over samples, ``(*output,)``.
        square: its mean squared length.
        action: how the group moves the output.
        target_action: how it moves the target, on all of the canvas: a crop comes after it.
        prepared: the symmetry.
        comparison: with the outputs of other samples.
        count: samples in the cell.
        by_place: its places, where it has some or grows with some.
        rim: its places by their distance from the edge, where they are those of a grid.
        names: how predicted classes move with their places; None of what is no map of classes.
        unrenamed: the same, with classes left as they were; None where the group renames none.
        remark: what is to be told of how the output was taken, if it was not declared.
    """

    task: Task
    scratch: Scratch
    shape: tuple[int, ...]
    mean: Tensor
    square: float
    action: Action
    target_action: Action | None
    prepared: Prepared
    comparison: Comparison
    count: int
    by_place: ByPlace | None = None
    rim: Rim | None = None
    names: Action | None = None
    unrenamed: Action | None = None
    remark: str | None = None

    @property
    def compared_shape(self) -> tuple[int, ...]:
        """Of one output as compared, which may have other numbers than the model returns."""
        return tuple(self.task.compared(torch.zeros((1, *self.shape))).shape[1:])

    def shape_under(self, g: Tensor) -> tuple[int, ...]:
        """Of one output under elements, all of which exchange the sides of a rectangle or none of which does."""
        if self.in_place or self.rim is None or not all(self.action.exchanges(g, self.shape)):
            return self.shape
        return tuple(self.action.act(g[:1], torch.empty((1, *self.shape))).shape[2:])

    @property
    def in_place(self) -> bool:
        """Whether outputs are compared where the unmoved ones are: they do not move, or are moved back."""
        return isinstance(self.action, TrivialAction) or self.prepared.elements.shared is None

    def pair(
        self, g: Tensor, output: Tensor, raw: Tensor, place: slice | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is compared with what: ``f(g.x)`` with ``g.f(x)``.

        Where every sample has elements of its own, ``g^-1.f(g.x)`` with ``f(x)``: the same where the action on
        outputs only permutes, and then other samples' outputs are comparable too.

        Args:
            g: what takes the reference view to the views, ``(k, ...)`` or ``(k, n, ...)``.
            output: ``f`` of the views, ``(k, n, *output)``.
            raw: ``f`` of the reference view, ``(n, *output)``.
            place: the elements' numbers in the cell, where they are some of its own.

        Returns:
            Both as :meth:`~symbench.measure.tasks.Task.compared`, ``(k, n, *output)``, and the latter's mean over all
            samples, ``(k, *output)``.
        """
        moved, unmoved = self.task.compared(output), self.task.compared(raw)
        alike = self.mean.shape == unmoved.shape[1:]  # on another canvas there is no mean of all
        mean = self.mean.to(output.device) if alike else unmoved.mean(0)
        if not self.in_place:
            move = self.action.bind(g, unmoved) if place is None else self._bound.to(g, place, unmoved)
            pair = self.action.held(g, moved), move(unmoved), move(mean[None])[:, 0]
            lost = self.action.lost(g, unmoved)
            if lost is not None:
                return leaving_out(*pair, lost)
            inside = self.inside(g, place, tuple(raw.shape[1:]))
            if inside is None:
                return pair
            return known_of(pair[0], inside), known_of(pair[1], inside), known_of(pair[2][:, None], inside)[:, 0]
        if not isinstance(self.action, TrivialAction):
            moved = self.moved_back(g, moved)
        return moved, unmoved.expand_as(moved), mean.expand(len(g), *mean.shape)

    def inside(self, g: Tensor, place: slice | None = None, shape: tuple[int, ...] | None = None) -> Tensor | None:
        """Which places of moved outputs come from within the frame, bool ``(k, *grid)``; None where all do.

        Args:
            g: elements ``(k, ...)``, shared by all samples.
            place: as in :meth:`pair`.
            shape: of one output, where that is another than usual.
        """
        if self.rim is None or self.in_place:
            return None
        like = torch.empty((1, *(shape or self.shape)), device="meta")
        if place is None:
            return self.action.inside(g, like)
        key = (place.start, place.stop)
        if key not in self._inside:
            self._inside[key] = self.action.inside(g, like)
        return self._inside[key]

    @cached_property
    def _inside(self) -> dict[tuple[int, int], Tensor | None]:
        return {}

    def in_own_order(self, g: Tensor, output: Tensor) -> Tensor:
        """Class scores in the order that classes have for the sample as it is; anything else as it is.

        Classes that permute are so right, and the same as before, where those that no group moves would be.

        Args:
            g: the elements, ``(k, ...)`` or ``(k, n, ...)``.
            output: ``f`` of the views, ``(k, n, *output)``.
        """
        if not isinstance(self.task.field, Classes):
            return output
        return self.moved_back(g, output)

    def moved_back(self, g: Tensor, values: Tensor) -> Tensor:
        """``g^-1`` of each value.

        Args:
            g: the elements, ``(k, ...)`` or ``(k, n, ...)``.
            values: ``(k, n, *output)``.
        """
        group = self.prepared.group
        each = g.repeat_interleave(values.shape[1], 0) if g.ndim == 1 + group.element_ndim else g.flatten(0, 1)
        return self.action.act(group.inverse(each)[None], values.flatten(0, 1))[0].unflatten(0, values.shape[:2])

    def moved_target(self, g: Tensor, target: Tensor) -> Tensor | None:
        """The classes of moved samples, ``(k, n)``, where the group permutes them; None where they stay.

        Args:
            g: the elements, ``(k, ...)`` or ``(k, n, ...)``.
            target: classes of the samples as they are, ``(n,)``.
        """
        return self.action.act(g, target) if isinstance(self.task.field, Classes) else None

    def rows(self, first: int, last: int, device: str) -> Tensor:
        """Outputs of the samples ``first`` to ``last`` of the order, all of one part; float64 on the device."""
        start = first // PART * PART
        mapped = np.load(self.scratch.raw(self.task.output, start), mmap_mode="r")
        return sent(torch.from_numpy(np.array(mapped[first - start : last - start])), device)

    def pieces(self, device: str, count: int | None = None) -> Iterator[Tensor]:
        """The outputs of all samples, or of the first of them, part by part."""
        for piece in slices(self.count if count is None else min(count, self.count), PART):
            yield self.rows(piece.start, piece.stop, device)

    def around(self, first: int, last: int, device: str) -> tuple[Tensor, Tensor]:
        """Outputs of the sample before, and of that behind, each from ``first`` to ``last`` of the order.

        All of one part; the first sample of the cell is behind the last one.
        """
        before, behind = (self.rows(i % self.count, i % self.count + 1, device) for i in (first - 1, last))
        own = self.rows(first, last, device)
        return torch.cat([before, own[:-1]]), torch.cat([own[1:], behind])

    @cached_property
    def _bound(self) -> Bound:
        return Bound(self.action, self.prepared)

    def others(self, device: torch.device | str) -> Tensor:
        """The directions of embeddings among which moved samples look for their own: those of the first samples."""
        if str(device) not in self._others:
            pieces = self.pieces(str(device), MOST_OTHERS)
            self._others[str(device)] = torch.cat([directions(values) for values in pieces])
        return self._others[str(device)]

    @cached_property
    def _others(self) -> dict[str, Tensor]:
        return {}


def leaving_out(moved: Tensor, expected: Tensor, mean: Tensor, lost: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A pair ``(k, n, rows, ...)`` and its mean ``(k, rows, ...)`` with that mean on both sides where a row is lost,
    ``(k, n, rows)``: it takes no part then, neither in deviations nor in distances to other samples."""
    wide = lost.to(moved.device).view(*lost.shape, *(1,) * (moved.ndim - lost.ndim))
    return torch.where(wide, mean[:, None], moved), torch.where(wide, mean[:, None], expected), mean


def known_of(values: Tensor, inside: Tensor) -> Tensor:
    """Values ``(k, n, ..., *grid)`` with zeros at places that come from beyond the frame; inside ``(k, *grid)``."""
    wide = sent(inside, values.device).view(len(inside), *(1,) * (values.ndim - inside.ndim), *inside.shape[1:])
    return values * wide
