"""PointNet: Qi et al., 2017, without its networks that align the input."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.domains.points.models.base import Cloud, PointNetwork, Shapes, dense, numbers, rows


class PointNet(PointNetwork):
    """One network for every point, the maximum over the points, a second network: exact under permutations alone.

    Vectors of points come from each point's own features beside the maximum, as the paper segments.
    """

    def __init__(self, *, shapes: Shapes, outputs: int, readout: str, width: int) -> None:
        super().__init__(shapes, outputs, readout)
        self.shared = dense(numbers(shapes), width, width, width)
        self.head = dense(2 * width if self.each else width, width, self.count)

    def answer(self, cloud: Cloud) -> Tensor:
        """As :meth:`PointNetwork.answer`."""
        x = self.shared(rows(cloud.positions, cloud.velocities, cloud.charges))
        most = x.amax(dim=1, keepdim=True)
        out: Tensor = self.head(torch.cat([x, most.expand_as(x)], dim=-1) if self.each else most[:, 0])
        return out
