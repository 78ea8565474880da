"""Models of clouds: exact ones, with forces as a head or as a gradient, and one that is not."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from symbench.fields import Axis, Field, Point, Scalar, Vector

ATOMS = Axis("atoms")


class Lengths(nn.Module):
    """An energy of lengths alone, and forces along the bonds: exact under SO(3) and O(3)."""

    inputs: Mapping[str, Field] = {"positions": Point().over(ATOMS), "bonds": Vector().over(Axis("bonds"))}
    outputs: Mapping[str, Field] = {"energy": Scalar(), "forces": Vector().over(ATOMS)}

    def forward(self, positions: Tensor, bonds: Tensor) -> dict[str, Tensor]:
        centred = positions - positions.mean(1, keepdim=True)
        lengths = bonds.norm(dim=-1, keepdim=True)
        pull = (bonds * lengths.tanh()).sum(1, keepdim=True)
        return {
            "energy": lengths.sum(1) + centred.norm(dim=-1).sum(1, keepdim=True),
            "forces": centred.tanh() * 0 + pull - centred,
        }


class Gradient(nn.Module):
    """Forces as the gradient of an energy; ``outside`` leaves it to the caller that gradients are recorded."""

    inputs: Mapping[str, Field] = {"positions": Point().over(ATOMS)}
    outputs: Mapping[str, Field] = {"energy": Scalar(), "forces": Vector().over(ATOMS)}

    def __init__(self, outside: bool = False) -> None:
        super().__init__()
        self.outside = outside
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, positions: Tensor) -> dict[str, Tensor]:
        with torch.set_grad_enabled(torch.is_grad_enabled() or not self.outside):
            positions = positions.requires_grad_()
            centred = positions - positions.mean(1, keepdim=True)
            energy = self.scale * centred.square().sum((1, 2))[:, None] / 2
            (slope,) = torch.autograd.grad(energy.sum(), positions, create_graph=self.training)
        return {"energy": energy, "forces": -slope}


class Free(nn.Module):
    """Fully connected on the coordinates: what it knows of rotations it has learnt."""

    inputs: Mapping[str, Field] = {"positions": Point().over(ATOMS)}
    outputs: Mapping[str, Field] = {"energy": Scalar(), "forces": Vector().over(ATOMS)}

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(15, 64), nn.Tanh(), nn.Linear(64, 16))
        self.linear = nn.Linear(15, 15)

    def forward(self, positions: Tensor) -> dict[str, Tensor]:
        out = self.layers(positions)
        return {"energy": out[:, :1], "forces": self.linear(positions.flatten(1)).unflatten(1, (5, 3))}


class Kept(nn.Module):
    """Returns the positions as they came: what a model is given."""

    inputs: Mapping[str, Field] = {"positions": Point().over(ATOMS)}
    outputs: Mapping[str, Field] = {"positions": Point().over(ATOMS)}

    def forward(self, positions: Tensor) -> Tensor:
        return positions * 1.0


def build(kind: str = "lengths", **arguments: bool) -> nn.Module:
    torch.manual_seed(0)
    return {"lengths": Lengths, "gradient": Gradient, "free": Free, "kept": Kept}[kind](**arguments)
