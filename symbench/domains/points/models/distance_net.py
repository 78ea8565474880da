"""Messages from distances alone, as SchNet has them (Schütt et al., 2017): energies, and forces from them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symbench.domains.points.models.base import Head, PointNetwork, Shapes, dense
from symbench.domains.points.models.messages import Messages, others, squared


class Round(nn.Module):
    """Every point hears from all others what they are, and from how far."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.message = Messages(width)
        self.update = dense(2 * width, width, width)

    def forward(self, h: Tensor, squares: Tensor, index: Tensor) -> Tensor:
        """Values ``(n, points, width)``, shape kept.

        Args:
            h: of each point.
            squares: of distances to each other point, ``(n, points, points - 1, 1)``.
            index: which those are, ``(points, points - 1)``.
        """
        heard = self.message(h, squares, index).sum(dim=2) / len(index)
        out: Tensor = h + self.update(torch.cat([h, heard], dim=-1))
        return out


class DistanceNet(PointNetwork):
    """Blind to all but distances: exact under E(3) and permutations, and so to mirror images as well."""

    def __init__(self, *, shapes: Shapes, outputs: int, readout: str, width: int, depth: int) -> None:
        super().__init__(shapes, outputs, readout)
        self.start = nn.Parameter(torch.randn(width))
        self.rounds = nn.ModuleList(Round(width) for _ in range(depth))
        self.head = Head(width, self.count, each=self.each)

    def answer(self, positions: Tensor, velocities: Tensor | None, charges: Tensor | None) -> Tensor:
        """As :meth:`PointNetwork.answer`, of positions alone."""
        del velocities, charges
        index = others(positions.shape[1], positions.device)
        squares = squared(positions[:, :, None] - positions[:, index])
        h = self.start.expand(*positions.shape[:2], -1)
        for each in self.rounds:
            h = each(h, squares, index)
        out: Tensor = self.head(h)
        return out
