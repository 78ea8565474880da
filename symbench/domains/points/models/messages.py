"""What points tell one another, of all pairs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from symbench.domains.points.models.base import dense

CENTRES, SPACING = 21, 0.25
"""Of the features of distances: the last is at a distance of 12."""


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

    def forward(self, h: Tensor, squares: Tensor, index: Tensor) -> Tensor:
        """Messages ``(n, points, points - 1, width)`` to each point from each other one.

        Args:
            h: values of the points, ``(n, points, width)``.
            squares: squared distances, ``(n, points, points - 1, 1)``.
            index: the others of each point, ``(points, points - 1)``.
        """
        first = self.own(h)[:, :, None] + self.other(h)[:, index] + self.distance(features(squares))
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
