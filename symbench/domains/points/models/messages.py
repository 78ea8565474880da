"""What points tell one another, of all pairs or of those that are near."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from symbench.domains.points.models.base import dense
from symbench.domains.points.models.neighbours import heard

CENTRES, SPACING = 21, 0.25
"""Of the features of distances: the last is at a distance of 12."""


@dataclass(frozen=True)
class Heard:
    """Whom each point hears from, and how what it hears is put together.

    Attributes:
        squares: of the distances to them, ``(n, points, k, 1)``.
        index: who they are, ``(points, k)``, or of each sample ``(n, points, k)``.
        shares: what their messages are multiplied by, ``(n, points, k, 1)``; None for 1.
        over: what the sum is divided by, a number or one of each sample, ``(n, 1, 1)``.
    """

    squares: Tensor
    index: Tensor
    shares: Tensor | None
    over: Tensor | float

    @classmethod
    def of_all(cls, positions: Tensor, mask: Tensor | None) -> Heard:
        """From all others ``(n, points, 3)``: those of a mask ``(n, points)`` alone, where there is one."""
        index = others(positions.shape[1], positions.device)
        squares = squared(positions[:, :, None] - positions[:, index])
        if mask is None:
            return cls(squares, index, None, len(index))
        real = mask.to(positions.dtype)
        return cls(squares, index, real[:, index, None], real.sum(1)[:, None, None])

    def mean(self, messages: Tensor) -> Tensor:
        """Messages ``(n, points, k, d)`` put together, ``(n, points, d)``."""
        return (messages if self.shares is None else messages * self.shares).sum(dim=2) / self.over


class Messages(nn.Module):
    """A network on own values, the other's values, and features of the distance between both.

    Its first layer is taken apart, so that values are multiplied once for each point instead of once for each pair.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own, self.other = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.distance = nn.Linear(CENTRES, width, bias=False)
        for each in (self.own, self.other):
            nn.init.normal_(each.weight, std=math.sqrt(1 / (2 * width)))
        nn.init.normal_(self.distance.weight)  # of the features about one is not 0
        nn.init.zeros_(self.own.bias)
        self.rest = nn.Sequential(nn.SiLU(), dense(width, width), nn.SiLU())

    def forward(self, h: Tensor, whom: Heard) -> Tensor:
        """Messages ``(n, points, k, width)`` to points with values ``(n, points, width)``."""
        first = self.own(h)[:, :, None] + heard(self.other(h), whom.index) + self.distance(features(whom.squares))
        out: Tensor = self.rest(first)
        return out


def features(squares: Tensor) -> Tensor:
    """Gaussians of ``log(1 + d^2)`` about equally spaced centres: squares ``(..., 1)`` to ``(..., CENTRES)``.

    Told one number, networks start out all but blind to it: of shapes of 24 points those on distances learnt nothing.
    Of the square they are smooth where points meet, and the logarithm spaces them wider where points are far apart.
    """
    centres = SPACING * torch.arange(CENTRES, device=squares.device, dtype=squares.dtype)
    return torch.exp(-((squares.log1p() - centres) / SPACING).square() / 2)


def others(points: int, device: torch.device) -> Tensor:
    """The numbers of the other points of each, ``(points, points - 1)``: a point is at no distance from itself."""
    steps = torch.arange(1, points, device=device)
    return (torch.arange(points, device=device)[:, None] + steps) % points


def squared(x: Tensor) -> Tensor:
    """Squared lengths, ``(..., 1)`` of vectors ``(..., 3)``."""
    return x.square().sum(dim=-1, keepdim=True)
