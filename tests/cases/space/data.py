"""Clouds of five points with four bonds, and what is exactly known of them."""

from __future__ import annotations

import torch

from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Axis, Category, Point, Scalar, Vector

ATOMS, BONDS = Axis("atoms"), Axis("bonds")


def load(split: str = "test", samples: int = 64, offset: float = 0.0, species: bool = False) -> Arrays:
    generator = torch.Generator().manual_seed(0 if split == "test" else 1)
    points = torch.randn(samples, 5, 3, generator=generator, dtype=torch.float64) + offset
    bonds = points[:, 1:] - points[:, :1]
    kinds = torch.randint(3, (samples, 5), generator=generator)
    centred = points - points.mean(1, keepdim=True)
    leaves = {"positions": points, "bonds": bonds} | ({"species": kinds} if species else {})
    fields = {"positions": Point().over(ATOMS), "bonds": Vector().over(BONDS)}
    return Arrays(
        leaves,
        {"forces": -centred, "energy": centred.square().sum((1, 2))[:, None] / 2},
        fields=fields | ({"species": Category(3).over(ATOMS)} if species else {}),
        target_fields={"forces": Vector(unit="eV/Å").over(ATOMS), "energy": Scalar(unit="eV")},
    )
