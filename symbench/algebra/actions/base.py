"""What an action is, and the trivial one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor

from symbench.algebra.fields import Places, Value
from symbench.base.environment import sent

Kind = Literal["permutation", "exact", "lossy", "resampled"]
"""``permutation`` only moves the stored numbers, bit for bit; ``exact`` is a formula, right to rounding; ``lossy`` is
whole-numbered but loses some; ``resampled`` finds values between those that there are, and so blurs."""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""From the best to the worst."""
SHARP: tuple[Kind, ...] = ("permutation", "exact")
"""Those of which nothing is lost: an exact model's error is rounding under them, and only under them."""

SIDES = "its sides would be exchanged, and those of the input are not: a square is needed"
"""Why an output cannot be moved that is a rectangle where the input is none."""

Move = Callable[[Tensor], Tensor]
"""``(n, ...) -> (k, n, ...)``: elements bound to one shape and device, with their grids and tables built."""


@dataclass(frozen=True)
class Generator:
    """A one-parameter subgroup ``exp(tX)``, acting by the reference action.

    Attributes:
        unit: of t: ``rad``, ``px``, or ``length`` in the data's own unit.
        flow: values ``(n, ...)`` and t to ``exp(tX) x``.
        derivative: values to ``X x``, the flow's derivative at 0.
        factor: the number of the factor that it is of, where the group is a product whose factors move parts of
            their own; None where it is none.
    """

    unit: str
    flow: Callable[[Tensor, float], Tensor]
    derivative: Callable[[Tensor], Tensor]
    factor: int | None = None


class Action(ABC):
    """How a group moves one field. A LEFT action: ``act(g, act(h, x)) == act(compose(g, h), x)``.

    Attributes:
        in_input_units: what is said of elements that are distances in units of the input, such as pixels, by which a
            map of another size is not moved; None where they are none.
        moves_values: it computes with what stands at the places, rather than moving it about.
        factors: the numbers of a product's factors that move anything here; empty where the whole group does.
        remark: what is to be said wherever its values are compared; None where there is nothing.
        beside: the names of other leaves of the same sample that it computes with, such as a crystal's cell. Values
            are then :meth:`carried` with them before anything else, and :meth:`finish` leaves them behind.
    """

    in_input_units: str | None = None
    moves_values = False
    factors: frozenset[int] = frozenset()
    beside: tuple[str, ...] = ()

    @property
    def remark(self) -> str | None:
        """Nothing, unless an action says otherwise."""
        return None

    @classmethod
    def of(cls, group: Any, options: Any, part: Places | Value) -> Action:
        """Build it for one part of a field; those that depend on which override this."""
        del part
        return cls(group, options)  # type: ignore[call-arg]

    @abstractmethod
    def check(self, shape: tuple[int, ...]) -> str | None:
        """Why values of this shape (without the sample axis) cannot be moved, as a sentence; None if they can."""

    @abstractmethod
    def kinds(self, g: Tensor) -> list[Kind]:
        """The kind of each element's action."""

    @abstractmethod
    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Build the tables and grids of ``g`` once, for values shaped like ``like``, on its device.

        Args:
            g: elements, ``(k, ...)`` shared by all samples or ``(k, n, ...)`` one for each.
            like: values ``(n, ...)``; only shape, dtype and device matter, and not n where elements are shared.
        """

    def immovable(self, shape: tuple[int, ...], side: int) -> str | None:
        """Why an output of this shape, without the sample axis, cannot be moved along with the input; None if it can.

        Args:
            shape: its.
            side: how long the last axis is of the input that the model was shown.
        """
        reason = self.check(shape)
        if reason is None and self.in_input_units and shape[-1] != side:
            return f"{self.in_input_units}, of {side} a side, and it has {shape[-1]}"
        return reason

    def exchanges(self, g: Tensor, shape: tuple[int, ...]) -> list[bool]:
        """Which elements ``(k, ...)`` make values of this shape, without the sample axis, ones of another shape.

        Those are moved apart from the others: a table of both has no one shape.
        """
        del shape
        return [False] * len(g)

    def carried(self, x: Tensor, beside: Sequence[Tensor]) -> Tensor:
        """Values ``(n, ...)`` with what they are moved by, in one tensor; as they are where there is nothing.

        Args:
            x: the leaf.
            beside: the leaves :attr:`beside`, of the same samples.
        """
        del beside
        return x

    def prepare(self, x: Tensor) -> Tensor:
        """What is done to every sample before any element, the identity too: a mask, a finer canvas."""
        return x

    def finish(self, x: Tensor) -> Tensor:
        """What is done to every sample after any element, before normalisation: back to its own pixels, a crop."""
        return x

    def inside(self, g: Tensor, like: Tensor) -> Tensor | None:
        """Which places of moved values come from within the frame, bool ``(k, *grid)``; None where all do.

        Of what lies beyond the frame nothing is known: such places count nowhere.

        Args:
            g: elements ``(k, ...)``, shared by all samples.
            like: values ``(n, ...)``; only the shape matters.
        """
        del g, like
        return None

    def lost(self, g: Tensor, x: Tensor) -> Tensor | None:
        """Which rows of values ``(n, rows, ...)`` elements bring out of the frame, bool ``(k, n, rows)``; None where
        they bring none. Nobody can say where such a point is: it counts nowhere."""
        del g, x
        return None

    def held(self, g: Tensor, moved: Tensor) -> Tensor:
        """What a frame holds of values of moved samples ``(k, n, ...)``: all of it, unless an action cuts some."""
        del g
        return moved

    def of_outputs(self) -> Action:
        """The same on what a model returns: behind a crop it knows of no more than it was shown."""
        return self

    def cropped(self, x: Tensor) -> Tensor:
        """What is left of values behind a crop, ``(n, ...)`` or ``(k, n, ...)``: what a model's answer is about."""
        return x

    def of_names(self) -> Action:
        """The action by which names of classes are weighed: whatever lies beyond the frame has no weight."""
        return self

    def reference(self, g: Tensor, *, steps: int = 1) -> Move | None:
        """The same elements by the reference action, which resampling errors are measured against.

        That is Fourier interpolation on a canvas with room around the image; whatever only permutes is its own
        reference. None where there is no such action.

        Args:
            g: elements, as for :meth:`bind`.
            steps: in how many equal parts to go there: two routes show the reference's own error.
        """
        del g, steps
        return None

    def generators(self) -> Mapping[str, Generator]:
        """The group's one-parameter subgroups; empty where it has none, or none that can be differentiated."""
        return {}

    def act(self, g: Tensor, x: Tensor) -> Tensor:
        """``g . x``: elements ``(k, ...)`` or ``(k, n, ...)``, values ``(n, ...)``; returns ``(k, n, ...)``."""
        return self.bind(g, x)(x)


def ready(actions: Mapping[str, Action], leaves: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leaves ``(n, ...)`` as their actions take them: with what stands beside them, and prepared."""
    beside = {name: [leaves[other] for other in actions[name].beside] for name in leaves}
    return {name: actions[name].prepare(actions[name].carried(x, beside[name])) for name, x in leaves.items()}


class TrivialAction(Action):
    """Leaves everything alone: scalars, class indices, nodes along an axis that does not move."""

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Any shape will do."""
        return None

    def kinds(self, g: Tensor) -> list[Kind]:
        """A permutation that moves nothing."""
        return ["permutation"] * len(g)

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """A view."""
        return lambda x: x.expand(len(g), *x.shape)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """The same."""
        return lambda x: x.expand(len(g), *x.shape)


def along(action: Action, name: str, known: Generator) -> Generator | None:
    """How an action moves along a generator that another action has; None where it does so without a derivative.

    Args:
        action: of another leaf, of an output, or of another part of the same field.
        name: the generator's.
        known: the generator, as the other moves along it.
    """
    elsewhere = known.factor is not None and action.factors and known.factor not in action.factors
    if elsewhere or isinstance(action, TrivialAction):
        return Generator(known.unit, lambda x, t: x, torch.zeros_like, known.factor)
    return action.generators().get(name)


def signed_permutations(matrices: Tensor) -> Tensor:
    """Which matrices ``(*batch, d, d)`` have one entry in each row, 1 or -1, and 0 elsewhere, bool ``(*batch,)``."""
    entries = ((matrices == 0) | (matrices.abs() == 1)).all(dim=(-1, -2))
    return entries & ((matrices != 0).sum(-1) == 1).all(-1)


def take(x: Tensor, index: Tensor, *, fill: float | None = None) -> Tensor:
    """Gather along the last axis with one table for each element: ``out[..., j] = x[..., index[j]]``.

    Args:
        x: ``(n, ..., p)``.
        index: int64 ``(k, q)`` shared by all samples, or ``(k, n, q)``; ``-1`` takes ``fill``.
        fill: the value for ``-1``; None where there is none.

    Returns:
        ``(k, n, ..., q)``, bit for bit the numbers of ``x`` (and ``fill``).
    """
    if fill is not None:
        x = torch.cat([x, x.new_full((*x.shape[:-1], 1), fill)], dim=-1)
        index = torch.where(index < 0, x.shape[-1] - 1, index)
    index = sent(index, x.device)
    if index.ndim == 2 and x.requires_grad:  # what is written into memory at hand has no derivative
        return torch.stack([x.index_select(-1, row) for row in index])
    if index.ndim == 2:
        out = x.new_empty(len(index), *x.shape[:-1], index.shape[1])
        for row, place in zip(index, out, strict=True):
            torch.index_select(x, -1, row, out=place)
        return out
    k, n, q = index.shape
    spread = index.view(k, n, *(1,) * (x.ndim - 2), q).expand(k, *x.shape[:-1], q)
    return x.expand(k, *x.shape).gather(-1, spread)


Key = TypeVar("Key", bound=Hashable)


def grouped(x: Tensor, keys: Sequence[Key], work: Callable[[Tensor, Key, list[int]], Tensor]) -> Tensor:
    """Samples ``(n, ...)`` worked on group by group, those of one key together; all at once where there is one key.

    Args:
        x: the samples.
        keys: one for each.
        work: some samples, their key and their numbers, to as many samples.
    """
    mine: dict[Key, list[int]] = {}
    for number, key in enumerate(keys):
        mine.setdefault(key, []).append(number)
    if len(mine) == 1:
        return work(x, *next(iter(mine.items())))
    done = [work(x.index_select(0, sent(torch.tensor(rows), x.device)), key, rows) for key, rows in mine.items()]
    there = torch.tensor([row for rows in mine.values() for row in rows]).argsort()
    return torch.cat(done).index_select(0, sent(there, x.device))


def times(matrices: Tensor, x: Tensor) -> Tensor:
    """Matrices times vectors in the last axis, ``(k, n, ...)``.

    Args:
        matrices: ``(k, d, d)`` shared by all samples, or ``(k, n, d, d)``.
        x: ``(n, ..., d)``.
    """
    wide = matrices if matrices.ndim == 4 else matrices[:, None]
    wide = wide.view(*wide.shape[:2], *(1,) * (x.ndim - 2), *wide.shape[-2:])
    return (wide @ x[None, ..., None])[..., 0]
