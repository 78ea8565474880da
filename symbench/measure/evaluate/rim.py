"""How far outputs on a grid deviate by the distance from the frame's edge: padding is told from the model so."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from symbench.base.environment import sent

FROM = (0, 1, 2, 3, 5, 9, 17, 33)
"""The distances from the edge, in places, at which bins begin; the last has no end."""


@dataclass(frozen=True)
class Rim:
    """The places of a grid by how far from its edge they are.

    Attributes:
        grid: how many places it has along each axis.
    """

    grid: tuple[int, ...]

    @cached_property
    def bins(self) -> Tensor:
        """The number of each place's bin, ``(places,)``, int64."""
        away = [torch.minimum(torch.arange(side), side - 1 - torch.arange(side)) for side in self.grid]
        nearest = torch.stack(torch.meshgrid(*away, indexing="ij")).amin(0).flatten()
        return torch.bucketize(nearest, torch.tensor(FROM), right=True) - 1

    def columns(self, moved: Tensor, expected: Tensor, inside: Tensor | None) -> dict[str, Tensor]:
        """The mean squared deviation of the places of each bin, ``rim_sq`` ``(k, n, bins)``, NaN where none is; and
        how many ``places`` there are in all, ``(k, n)``.

        Args:
            moved: ``f(g.x)``, ``(k, n, ..., *grid)``, float64.
            expected: ``g.f(x)``, likewise.
            inside: which places count, ``(k, *grid)``; None where all do.
        """
        k, n = moved.shape[:2]
        grid = moved.shape[moved.ndim - len(self.grid) :]
        at = self.bins if grid == self.grid else Rim(tuple(grid)).bins  # quarter turns exchange its sides
        squares = (moved - expected).square().reshape(k, n, -1, len(at)).sum(2)
        bins = sent(torch.nn.functional.one_hot(at, len(FROM)).to(squares.dtype), squares.device)  # (places, bins)
        if inside is None:
            return {"rim_sq": squares @ bins / bins.sum(0), "places": bins.sum().expand(k, n)}
        chosen = sent(inside.flatten(1).to(squares.dtype), squares.device)  # (k, places)
        found = {"rim_sq": (squares * chosen[:, None]) @ bins / (chosen @ bins)[:, None]}
        return {**found, "places": chosen.sum(1, keepdim=True).expand(k, n)}
