"""Pair potentials of crystals: of the nearest image, by rounding, or of none but the atoms themselves."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import vjp

from symbench.domains.atoms.fields import ATOMS_TARGETS, CRYSTAL_LEAVES
from symbench.fields import Field, Scalar


class Pairs(nn.Module):
    """``E = sum_ij z_i z_j exp(-d_ij^2)`` over the images that its kind takes, with the forces that follow."""

    outputs = ATOMS_TARGETS

    def __init__(self, kind: str, cell: str, declared: str) -> None:
        super().__init__()
        self.kind = kind
        known = CRYSTAL_LEAVES["cell"]
        edges = known if declared == "vectors" else Scalar().over(*known.places)
        self.inputs: dict[str, Field] = {
            "positions": CRYSTAL_LEAVES["positions"],
            "species": CRYSTAL_LEAVES["species"],
            cell: edges,
            "periodic": CRYSTAL_LEAVES["periodic"],
        }

    def forward(self, positions: Tensor, species: Tensor, periodic: Tensor, **edges: Tensor) -> dict[str, Tensor]:
        del periodic
        (cell,) = edges.values()

        def energy(x: Tensor) -> Tensor:
            apart = x[:, :, None] - x[:, None]
            charges = species[:, :, None] * species[:, None]
            if self.kind == "nearest":
                parts = torch.linalg.solve(cell[:, None, None].mT, apart[..., None])[..., 0]
                apart = (parts - parts.detach().round()) @ cell[:, None]
            total = charges.to(x) * torch.exp(-apart.square().sum(-1))
            return total.sum((1, 2))[:, None]

        value, back = vjp(energy, positions)[:2]
        return {"energy": value, "forces": -back(torch.ones_like(value))[0]}


def build(kind: str = "nearest", cell: str = "cell", declared: str = "vectors") -> Pairs:
    return Pairs(kind, cell, declared)
