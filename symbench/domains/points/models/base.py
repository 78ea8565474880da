"""What networks on points share: what they are told of the data, what they return, and forces from an energy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vjp

from symbench.algebra.fields import ANY, Axis, Field, Point, Scalar, Undeclared, Vector
from symbench.base.errors import ModelError, Problem

Shapes = Mapping[str, tuple[int, ...]]
VECTORS = Vector().over(Axis(ANY))
OUTPUTS: Mapping[str, Mapping[str, Field]] = {
    "cloud": {"cloud": Undeclared()},  # class scores or numbers, as the target has it
    "vectors": {"vectors": VECTORS},
    "positions": {"positions": Point().over(Axis(ANY))},
    "energy": {"energy": Scalar(), "forces": VECTORS},
}
"""The outputs of each readout, by their names."""


class PointNetwork(nn.Module, ABC):
    """A network on equally many points in each sample: their positions, and what else its row takes of them.

    Args:
        shapes: of the leaves, without the axis of samples: positions ``(points, 3)`` first.
        outputs: how many numbers the dataset's first target has.
        readout: ``cloud``, ``vectors``, ``positions`` or ``energy``, as ``PointOptions`` says.

    Raises:
        ModelError: the points are not of space, or an energy is asked for where the target is something else.

    Attributes:
        each: whether the answer is of each point, or of all together.
        count: how many numbers it then has.
    """

    def __init__(self, shapes: Shapes, outputs: int, readout: str) -> None:
        super().__init__()
        leaf, shape = next(iter(shapes.items()))
        if len(shape) != 2 or shape[-1] != 3:
            raise ModelError(Problem(leaf, f"got shape {shape}", "(points, 3), the coordinates of points of space"))
        if readout == "energy" and outputs not in {1, prod(shape)}:
            got = f"got energy, and the target of a sample has {outputs} numbers"
            raise ModelError(Problem("readout", got, f"1, or {prod(shape)} of forces", "Say readout: cloud."))
        self.readout, self.outputs = readout, OUTPUTS[readout]
        self.each = readout in {"vectors", "positions"}
        self.count = 3 if self.each else 1 if readout == "energy" else outputs

    @abstractmethod
    def answer(self, positions: Tensor, velocities: Tensor | None, charges: Tensor | None) -> Tensor:
        """Positions ``(n, points, 3)`` to ``(n, outputs)``, a vector each ``(n, points, 3)``, or energies ``(n, 1)``.

        Args:
            positions: of the points.
            velocities: of the points, of the same shape; None where the model takes none.
            charges: a number or several of each point, ``(n, points, ...)``; likewise.
        """

    def forward(
        self, positions: Tensor, velocities: Tensor | None = None, charges: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The outputs of the readout; forces are minus the derivatives of the energy, ``(n, points, 3)``."""
        if self.readout != "energy":
            found = self.answer(positions, velocities, charges)
            return {self.readout: positions + found if self.readout == "positions" else found}
        # not autograd.grad: this also runs where no gradients are recorded, under vmap, and in forward mode
        pair: Any = vjp(lambda x: self.answer(x, velocities, charges), positions)  # a union of types, by its options
        energy, pull = pair
        return {"energy": energy, "forces": -pull(torch.ones_like(energy))[0]}


class Head(nn.Module):
    """The answer from values of each point: of all together from their mean, or of each point from its own."""

    def __init__(self, width: int, count: int, *, each: bool) -> None:
        super().__init__()
        self.each = each
        self.layers = dense(width, width, count)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, points, width)`` to ``(n, count)``, or ``(n, points, count)``."""
        out: Tensor = self.layers(x if self.each else x.mean(dim=1))
        return out


def dense(*widths: int) -> nn.Sequential:
    """Linear layers from each width to the next, with SiLU between: forces of an energy have to be smooth.

    They start without intercepts and with He's variance: torch's own start shrinks what tells samples apart layer by
    layer, until messages from the same points at other distances are all but the same.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        linear = nn.Linear(inputs, outputs)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def numbers(shapes: Shapes) -> int:
    """How many numbers :func:`rows` has of each point."""
    return sum(prod(shape[1:]) for shape in shapes.values())


def rows(*leaves: Tensor | None) -> Tensor:
    """Everything that is known of each point, end to end: ``(n, points, numbers)``."""
    return torch.cat([x.reshape(*x.shape[:2], -1) for x in leaves if x is not None], dim=-1)
