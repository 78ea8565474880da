"""An exact model of crystals, and it with one mistake each: those that people make."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from symbench.fields import Axis, Field, Logits, Point, PseudoVector, Scalar, Vector

ATOMS, LATTICE, SLOTS = Axis("atoms"), Axis("lattice"), Axis("slots")
INPUTS: dict[str, Field] = {"positions": Point().over(ATOMS)}


class Twin(nn.Module):
    """Forces of springs between atoms: a sum of relative vectors."""

    inputs: Mapping[str, Field] = INPUTS
    outputs: Mapping[str, Field] = {"forces": Vector().over(ATOMS)}

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(0.7))

    def forces(self, x: Tensor) -> Tensor:
        apart = x[:, None] - x[:, :, None]
        near = (-apart.square().sum(-1, keepdim=True)).exp()
        return self.strength * (near * apart).sum(2)

    def forward(self, positions: Tensor) -> Tensor:
        return self.forces(positions)


class Clamped(Twin):
    """Forces clamped component by component."""

    def forward(self, positions: Tensor) -> Tensor:
        return self.forces(positions).clamp(-0.2, 0.2)


class Torque(Twin):
    """``sum r x F`` about the centre, declared as a vector."""

    outputs: Mapping[str, Field] = {"torque": Vector()}

    def forward(self, positions: Tensor) -> Tensor:
        centred = positions - positions.mean(1, keepdim=True)
        weights = torch.arange(1.0, positions.shape[1] + 1).to(positions)[:, None]
        return torch.linalg.cross(centred, self.forces(positions) * weights).sum(1)


class Axial(Torque):
    """The same, declared as what it is."""

    outputs: Mapping[str, Field] = {"torque": PseudoVector()}


class Still(Twin):
    """Lengths in place of a vector: they are declared as one, and nothing moves them."""

    outputs: Mapping[str, Field] = {"lengths": Vector()}

    def forward(self, positions: Tensor) -> Tensor:
        return (positions[:, :3] - positions.mean(1, keepdim=True)).square().sum(-1)


class Crystal(Twin):
    """Forces along the vectors of the basis, weighed by how far along each an atom is."""

    inputs: Mapping[str, Field] = {**INPUTS, "basis": Vector().over(LATTICE)}

    def forward(self, positions: Tensor, basis: Tensor) -> Tensor:
        along = torch.einsum("nai,nli->nal", positions, basis)
        return self.strength * torch.einsum("nal,nli->nai", along.sin(), basis)


class Numbers(Crystal):
    """The same where the basis is declared as numbers."""

    inputs: Mapping[str, Field] = {**INPUTS, "basis": Scalar().over(LATTICE)}


class Marked(Twin):
    """Forces of the marked atoms alone."""

    inputs: Mapping[str, Field] = {**INPUTS, "marks": Scalar().over(ATOMS)}

    def forward(self, positions: Tensor, marks: Tensor) -> Tensor:
        return self.forces(positions) * marks[..., None]


class Slots(Marked):
    """The same where marks are along slots, which nobody says are the atoms."""

    inputs: Mapping[str, Field] = {**INPUTS, "marks": Scalar().over(SLOTS)}


class Sides(Twin):
    """Two classes that a reflection exchanges, declared as if it left them alone."""

    outputs: Mapping[str, Field] = {"label": Logits()}

    def forward(self, positions: Tensor) -> Tensor:
        x = positions - positions.mean(1, keepdim=True)
        hand = torch.linalg.det(x[:, :3])
        return torch.stack([hand, -hand, 0 * hand - 9], dim=1)


class Anchored(Twin):
    """Springs to the origin: exact under turns, and broken by translations."""

    outputs: Mapping[str, Field] = {"energy": Scalar()}

    def forward(self, positions: Tensor) -> Tensor:
        return self.strength * positions.square().sum(-1).tanh().sum(1, keepdim=True)


class Ordered(Twin):
    """Distances between atoms, each with a weight of its own: exact under turns, and broken by permutations."""

    outputs: Mapping[str, Field] = {"energy": Scalar()}

    def forward(self, positions: Tensor) -> Tensor:
        apart = (positions[:, 1:] - positions[:, :-1]).square().sum(-1)
        return self.strength * (apart * torch.arange(1.0, apart.shape[1] + 1).to(apart)).sum(1, keepdim=True)


class Cut(Clamped):
    """Clamped, in whatever order the atoms come."""
