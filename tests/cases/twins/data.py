"""Crystals in miniature: four atoms, of which some are marked, and the vectors of their lattice's basis."""

from __future__ import annotations

import torch

from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Axis, Field, Point, Scalar, Vector

ATOMS, LATTICE, SLOTS = Axis("atoms"), Axis("lattice"), Axis("slots")
SAMPLES, COUNT = 24, 4


def load(basis: str = "Vector", marked: str = "atoms") -> Arrays:
    """The right declarations, or the basis as numbers, or marks of atoms along an axis of another name."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(SAMPLES, *shape, generator=generator, dtype=torch.float64)

    marks = (torch.rand(SAMPLES, COUNT, generator=generator) < 0.6).double()
    value = {"Vector": Vector(), "Scalar": Scalar()}[basis]
    fields: dict[str, Field] = {
        "positions": Point().over(ATOMS),
        "basis": value.over(LATTICE),
        "marks": Scalar().over({"atoms": ATOMS, "slots": SLOTS}[marked]),
    }
    leaves = {"positions": drawn(COUNT, 3), "basis": drawn(3, 3), "marks": marks}
    return Arrays(leaves, {}, fields=fields, target_fields={})
