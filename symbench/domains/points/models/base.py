"""What networks on points share: what they are told of the data, what they return, and the slopes of energies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vjp

from symbench.algebra.fields import ANY, Axis, Field, Point, Scalar, Undeclared, Vector
from symbench.algebra.fields import Tensor as CartesianTensor
from symbench.base.errors import ModelError, Problem
from symbench.domains.points.models.neighbours import Neighbours, volumes

Shapes = Mapping[str, tuple[int, ...]]
VECTORS = Vector().over(Axis(ANY))
OUTPUTS: Mapping[str, Mapping[str, Field]] = {
    "cloud": {"cloud": Undeclared()},  # class scores or numbers, as the target has it
    "vectors": {"vectors": VECTORS},
    "positions": {"positions": Point().over(Axis(ANY))},
    "energy": {"energy": Scalar(), "forces": VECTORS},
}
"""The outputs of each readout, by their names."""
STRESS: Mapping[str, Field] = {"stress": CartesianTensor(2, symmetric=True)}
"""What follows from an energy besides, where there is a cell."""


@dataclass(frozen=True)
class Cloud:
    """What a network knows of a batch of points.

    Attributes:
        positions: ``(n, points, 3)``.
        velocities: of the same shape; None where the model takes none.
        charges: a number or several of each point, ``(n, points, ...)``; likewise.
        species: the atomic number of each, ``(n, points)``, 0 in padding; likewise.
        mask: which points are real, bool ``(n, points)``; None where all are.
        cell: lattice vectors as rows, ``(n, 3, 3)``; likewise.
        periodic: along which of them space repeats, ``(n, 3)``, 0 or 1; None for all.
        near: who hears from whom, where the network says so beforehand.
    """

    positions: Tensor
    velocities: Tensor | None = None
    charges: Tensor | None = None
    species: Tensor | None = None
    mask: Tensor | None = None
    cell: Tensor | None = None
    periodic: Tensor | None = None
    near: Neighbours | None = None

    def strained(self, strain: Tensor) -> Cloud:
        """Everything stretched by symmetric strains ``(n, 3, 3)``: rows times ``1 + strain``."""
        bent = torch.eye(3, device=strain.device, dtype=strain.dtype) + (strain + strain.mT) / 2
        cell = None if self.cell is None else self.cell @ bent
        return replace(self, positions=self.positions @ bent, cell=cell)


class PointNetwork(nn.Module, ABC):
    """A network on points: their positions, and what else its row takes of them. Padding needs a mask.

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
        stress = STRESS if readout == "energy" and "cell" in shapes else {}
        self.readout, self.outputs = readout, {**OUTPUTS[readout], **stress}
        self.each = readout in {"vectors", "positions"}
        self.count = 3 if self.each else 1 if readout == "energy" else outputs

    @abstractmethod
    def answer(self, cloud: Cloud) -> Tensor:
        """Of all points ``(n, outputs)``, a vector of each ``(n, points, 3)``, or energies ``(n, 1)``."""

    def near(self, cloud: Cloud) -> Neighbours | None:
        """Who hears from whom, which small changes of the positions do not change; None for everybody from all."""
        del cloud
        return None

    def forward(
        self,
        positions: Tensor,
        velocities: Tensor | None = None,
        charges: Tensor | None = None,
        species: Tensor | None = None,
        atoms_mask: Tensor | None = None,
        cell: Tensor | None = None,
        periodic: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The outputs of the readout.

        Forces ``(n, points, 3)`` are minus the derivatives of the energy; stress ``(n, 3, 3)`` is its derivative by a
        strain of positions and cell, over the cell's volume: positive where the cell would shrink.
        """
        cloud = Cloud(positions, velocities, charges, species, atoms_mask, cell, periodic)
        cloud = replace(cloud, near=self.near(cloud))
        if self.readout != "energy":
            found = self.answer(cloud)
            return {self.readout: positions + found if self.readout == "positions" else found}
        # not autograd.grad: this also runs where no gradients are recorded, under vmap, and in forward mode
        if cell is None:
            pair: Any = vjp(lambda x: self.answer(replace(cloud, positions=x)), positions)  # a union of types
            energy, pull = pair
            return {"energy": energy, "forces": -pull(torch.ones_like(energy))[0]}

        def bent(x: Tensor, strain: Tensor) -> Tensor:
            return self.answer(replace(cloud, positions=x).strained(strain))

        pair = vjp(bent, positions, torch.zeros_like(cell))
        energy, pull = pair
        slope, strain = pull(torch.ones_like(energy))
        volume = volumes(cell)[:, None, None]
        # what repeats along fewer than three vectors, and has none beside them, fills no volume and has no stress
        stress = torch.where(volume > 0, strain / torch.where(volume > 0, volume, 1), 0)
        return {"energy": energy, "forces": -slope, "stress": stress}


class Head(nn.Module):
    """The answer from values of each point.

    Args:
        width: of the values.
        count: of numbers in the answer.
        each: of each point from its own values; else of all together, from their mean.
        adds: of all together, and the sum of each point's: of twice as many it is twice as much.
    """

    def __init__(self, width: int, count: int, *, each: bool, adds: bool = False) -> None:
        super().__init__()
        self.each, self.adds = each, adds
        self.layers = dense(width, width, count)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """``(n, points, width)`` to ``(n, count)``, or ``(n, points, count)``, which is 0 in padding."""
        if self.each or self.adds:
            own: Tensor = real_alone(self.layers(x), mask)
            return own if self.each else own.sum(dim=1)
        mean = x.mean(dim=1) if mask is None else real_alone(x, mask).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        out: Tensor = self.layers(mean)
        return out


def real_alone(x: Tensor, mask: Tensor | None) -> Tensor:
    """Values ``(n, points, ...)``, 0 in padding."""
    return x if mask is None else x * mask.view(*mask.shape, *(1,) * (x.ndim - 2))


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
