"""Whole numbers that name something, at places that move: there is no mean of a cat and a dog."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symbench.algebra.actions.base import SHARP, Action, Kind, Move

NOTHING = -1
"""What stands where nobody knows what is there."""
WHOLE = 1 - 1e-4
"""Of a place's weights, how much has to come from within the frame, in single precision."""


class MoveNames(Action):
    """Moves names with their places. Where places are found between others, the name with the most weight stands.

    What comes from beyond the frame is -1, as are places that have no name. Numbers with a fraction, such as scores,
    are moved as they are.

    Args:
        action: of the places.
    """

    def __init__(self, action: Action) -> None:
        self.action = action
        self.in_input_units = action.in_input_units
        self.factors = action.factors

    def check(self, shape: tuple[int, ...]) -> str | None:
        """As of any values."""
        return self.action.check(shape)

    def immovable(self, shape: tuple[int, ...], side: int) -> str | None:
        """As of any values."""
        return self.action.immovable(shape, side)

    def kinds(self, g: Tensor) -> list[Kind]:
        """As of any values."""
        return self.action.kinds(g)

    def exchanges(self, g: Tensor, shape: tuple[int, ...]) -> list[bool]:
        """As of any values."""
        return self.action.exchanges(g, shape)

    def inside(self, g: Tensor, like: Tensor) -> Tensor | None:
        """As of any values."""
        return self.action.inside(g, like)

    def of_outputs(self) -> Action:
        """As of any values."""
        return MoveNames(self.action.of_outputs())

    def cropped(self, x: Tensor) -> Tensor:
        """As of any values."""
        return self.action.cropped(x)

    def carried(self, x: Tensor, beside: Sequence[Tensor]) -> Tensor:
        """As of any values."""
        return self.action.carried(x, beside)

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Index operations as they are, on numbers from 0 on with 0 for what is not known; else name by name."""
        if like.is_floating_point():
            return self.action.bind(g, like)
        names = self.action.of_names()
        flat = g if g.ndim == 1 + self._element_ndim else g.flatten(0, 1)
        if set(names.kinds(flat)) <= {*SHARP, "lossy"}:
            move = names.bind(g, like)
            return lambda x: move(x + 1) - 1
        weigh = names.bind(g, torch.empty(like.shape, dtype=torch.float32, device=like.device))
        return lambda x: _heaviest(weigh, x)

    @property
    def _element_ndim(self) -> int:
        return int(getattr(self.action, "group").element_ndim)  # noqa: B009  (actions of places have a group)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move | None:
        """Itself; of scores, that of the places."""
        reference = self.action.reference(g, steps=steps)
        return lambda x: self.act(g, x) if not x.is_floating_point() or reference is None else reference(x)

    def finish(self, x: Tensor) -> Tensor:
        """As of any values."""
        return self.action.finish(x)


def _heaviest(weigh: Move, x: Tensor) -> Tensor:
    """The name with the most weight at each place, ``(k, n, ...)``; the smaller of two that have as much."""
    best: Tensor | None = None
    for name in x.unique().tolist():
        weight = weigh((x == name).float())
        if best is None:
            best, total = weight, weight.clone()
            found = torch.full(weight.shape, int(name), dtype=x.dtype, device=x.device)
            continue
        total += weight
        heavier = weight > best
        found[heavier], best = int(name), torch.maximum(best, weight)
    if best is None:
        raise ValueError("there are no places")
    return torch.where(total >= WHOLE, found, NOTHING)
