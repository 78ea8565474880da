"""Turns and mirrors of volumes: index operations, bit for bit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, Kind, Move, grouped, signed_permutations
from symbench.algebra.fields import Grid
from symbench.algebra.groups.base import Group
from symbench.domains.points.groups.space import SpaceGroup


class TurnVolume(Action):
    """Moves ``(n, ..., d, h, w)`` as an element moves space: a transposition of its axes, then flips.

    x is to the right, along w; y is upwards, against h; z rises along d. So a quarter turn about z turns every slice
    counter-clockwise as displayed, as a quarter turn of an image does, and the value at a place goes to where the
    element takes the place, measured from the middle of the grid.

    Args:
        group: a group of space; of a group that code brings, elements are its matrices ``(k, 3, 3)``.
        options: none.
        grid: what is moved.
    """

    def __init__(self, group: Group, options: Any, grid: Grid) -> None:
        del options
        self.group = group
        self.grid = grid

    @classmethod
    def of(cls, group: Any, options: Any, part: Any) -> Action:
        """For a grid, with its dimensions and spacing."""
        return cls(group, options, part)

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Three dimensions; elements that turn by quarters, and exchange only axes that are alike."""
        name = self.group.name
        if self.grid.size != 3:
            return f"{name} moves space, and {self.grid} is none: images are moved by D4 and C4"
        if len(shape) < 3 or 0 in shape:
            return f"a volume has shape (c, d, h, w), got {shape}"
        matrices = None if self.group.count is None else self._matrices(self.group.elements())
        if matrices is None or not signed_permutations(matrices).all():
            return f"{name} has elements that map no grid to itself: use O, Oh or mirrors"
        sides = list(zip(shape[-3:], self.grid.spacing or (1.0,) * 3, strict=True))
        for image, origin in (matrices != 0).any(dim=0).nonzero().tolist():
            if sides[image] != sides[origin]:
                return f"{name} exchanges axes that are not alike: {_side(*sides[image])}, {_side(*sides[origin])}"
        return None

    def kinds(self, g: Tensor) -> list[Kind]:
        """All permutations."""
        return ["permutation"] * len(g)

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Nothing has to be built."""
        del like
        matrices = self._matrices(g)
        items = matrices.flatten(0, -3)

        def one(volumes: Tensor, key: tuple[float, ...], mine: list[int]) -> Tensor:
            del key
            return turned(volumes, items[mine[0]])

        def move(x: Tensor) -> Tensor:
            if matrices.ndim == 3:
                return torch.stack([turned(x, matrix) for matrix in matrices])
            each = x.expand(len(matrices), *x.shape).flatten(0, 1)
            keys = [tuple(matrix.flatten().tolist()) for matrix in items]
            return grouped(each, keys, one).unflatten(0, matrices.shape[:2])

        return move

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Itself: nothing is resampled."""
        del steps
        return lambda x: self.act(g, x)

    def _matrices(self, g: Tensor) -> Tensor:
        """Of elements, between a tensor's axes d, h and w, whose steps are those of z, -y and x."""
        linear = self.group.linear(g) if isinstance(self.group, SpaceGroup) else g
        signs = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
        return linear.flip((-2, -1)) * signs[:, None] * signs


def turned(x: Tensor, matrix: Tensor) -> Tensor:
    """Volumes ``(..., d, h, w)`` moved by a signed permutation ``(3, 3)`` of their axes."""
    sources = matrix.abs().argmax(dim=1).tolist()  # row i of the matrix says which axis axis i comes from
    signs = matrix.sum(dim=1).tolist()
    first = x.ndim - 3
    ordered = x.permute(*range(first), *(first + source for source in sources))
    return ordered.flip([first + axis for axis, sign in enumerate(signs) if sign < 0])


def _side(length: int, spacing: float) -> str:
    return f"{length} places at a distance of {spacing:g}"
