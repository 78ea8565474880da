"""A fully connected network on coordinates."""

from __future__ import annotations

from torch import Tensor

from symbench.domains.points.models.base import Cloud, PointNetwork, Shapes, dense, numbers, rows


class PointMlp(PointNetwork):
    """All numbers of all points end to end through two hidden layers: it knows of no symmetry at all."""

    def __init__(self, *, shapes: Shapes, outputs: int, readout: str, width: int) -> None:
        super().__init__(shapes, outputs, readout)
        self.points = next(iter(shapes.values()))[0]
        answers = self.points if self.each else 1
        self.layers = dense(self.points * numbers(shapes), width, width, answers * self.count)

    def answer(self, cloud: Cloud) -> Tensor:
        """As :meth:`PointNetwork.answer`."""
        out: Tensor = self.layers(rows(cloud.positions, cloud.velocities, cloud.charges).flatten(1))
        return out.unflatten(1, (self.points, 3)) if self.each else out
