"""Small crystals of two species, whose cell may be declared, or called, as it should not be."""

from __future__ import annotations

import torch

from symbench.domains.atoms.fields import CRYSTAL_LEAVES
from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Field, Point, Scalar


def load(split: str = "test", cell: str = "cell", declared: str = "vectors", about: str = "origin") -> Arrays:
    generator = torch.Generator().manual_seed(0 if split == "test" else 1)
    edges = 4 * torch.eye(3, dtype=torch.float64) + torch.randn(12, 3, 3, generator=generator).double() / 4
    parts = torch.rand(12, 5, 3, generator=generator, dtype=torch.float64)
    leaves = {
        "positions": parts @ edges,
        "species": torch.randint(1, 3, (12, 5), generator=generator),
        cell: edges,
        "periodic": torch.ones(12, 3, dtype=torch.int64),
    }
    fields: dict[str, Field] = {cell if leaf == "cell" else leaf: field for leaf, field in CRYSTAL_LEAVES.items()}
    if declared == "numbers":
        fields[cell] = Scalar().over(*CRYSTAL_LEAVES["cell"].places)
    if about == "cell":
        fields["positions"] = Point("cell").over(*CRYSTAL_LEAVES["positions"].places)
    return Arrays(leaves, {}, fields=fields, target_fields={})
