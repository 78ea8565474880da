"""Models of the built-in clouds: exact ones, and one that reflections break."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from symbench.fields import Axis, Field, Logits, Mask, Point, Scalar, Vector

PARTICLES, ATOMS = Axis("particles"), Axis("atoms")
HANDED = 6
"""The class of right-handed helices; left-handed ones come next."""


class Handedness(nn.Module):
    """Calls every shape a helix, and says of which hand: a number that a reflection negates."""

    inputs: Mapping[str, Field] = {"positions": Point().over(Axis("points"))}
    outputs: Mapping[str, Field] = {"label": Logits()}

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, positions: Tensor) -> Tensor:
        hand = self.scale * handedness(positions)
        none = torch.full_like(hand, -1e3)
        return torch.stack([*[none] * HANDED, hand, -hand], dim=1)


def handedness(x: Tensor) -> Tensor:
    """``sum_ij w(d_ij) (a . x_ij) (a . x_i cross x_j)`` of clouds ``(n, p, 3)``, a the longest axis: above 0 where
    points that are near one another rise as they turn counter-clockwise."""
    along = torch.linalg.eigh(x.mT @ x).eigenvectors[:, None, None, :, -1]
    apart = x[:, None] - x[:, :, None]  # (n, i, j, 3), from i to j
    turn = torch.linalg.cross(x[:, :, None], x[:, None].expand_as(apart))
    near = (-apart.square().sum(-1) / 0.2).exp()
    return (near * (along * apart).sum(-1) * (along * turn).sum(-1)).sum((1, 2))


class Drift(nn.Module):
    """Straight on: exact under all motions of space."""

    inputs: Mapping[str, Field] = {"positions": Point().over(PARTICLES), "velocities": Vector().over(PARTICLES)}
    outputs: Mapping[str, Field] = {"final_positions": Point().over(PARTICLES)}

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Parameter(torch.ones(1))

    def forward(self, positions: Tensor, velocities: Tensor) -> Tensor:
        return positions + self.time * velocities


class Exact(nn.Module):
    """The potential that the targets come from, with forces as its gradient; padding takes no part."""

    inputs: Mapping[str, Field] = {"positions": Point().over(ATOMS), "atoms_mask": Mask().over(ATOMS)}
    outputs: Mapping[str, Field] = {"energy": Scalar(), "forces": Vector().over(ATOMS)}

    def __init__(self) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.tensor(0.01034))

    def forward(self, positions: Tensor, atoms_mask: Tensor) -> dict[str, Tensor]:
        i, j = torch.triu_indices(positions.shape[1], positions.shape[1], 1)
        with torch.enable_grad():
            x = positions.requires_grad_()
            real = atoms_mask[:, i] & atoms_mask[:, j]
            square = torch.where(real, (x[:, i] - x[:, j]).square().sum(-1), 1e6)
            sixth = (3.4**2 / square) ** 3
            energy = (4 * self.epsilon * (sixth**2 - sixth) * real).sum(1, keepdim=True)
            (slope,) = torch.autograd.grad(energy.sum(), x)
        return {"energy": energy, "forces": -slope}


def build(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return {"handedness": Handedness, "drift": Drift, "exact": Exact}[kind]()
