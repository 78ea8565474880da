"""Structures of ASE: molecules of several sizes, metals with cells, and a pair of mirror images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Axis, Category, Point, Scalar, Vector

ATOMS, LATTICE = Axis("atoms"), Axis("lattice")
RATTLE = 0.05


def load(split: str = "test", kind: str = "metals", cells: str = "vectors") -> Arrays:
    """Rattled structures. ``cells: numbers`` declares lattice vectors as what no rotation moves: a mistake."""
    del split
    return arrays(structures(kind), cells)


def structures(kind: str) -> list[Any]:
    from ase import Atoms
    from ase.build import bulk, molecule

    rng = np.random.default_rng(0)
    if kind == "chiral":  # four ligands about a carbon atom, which no two hands have alike
        corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 3**0.5
        lengths = np.array([1.09, 1.35, 1.77, 1.93])[:, None]
        return [Atoms("CHFClBr", [[0, 0, 0], *(corners * lengths * scale)]) for scale in (1.0, 1.02, 0.98)]
    made = {
        "metals": [bulk("Cu", cubic=True), bulk("Ni", cubic=True), bulk("Al") * (2, 1, 1)],
        "molecules": [molecule(name) for name in ("C6H6", "CH3CH2OH", "H2O", "C2H6CHOH")],
        "salt": [bulk("NaCl", "rocksalt", a=a, cubic=True) for a in (5.6, 5.7)],
    }[kind]
    for each in made:
        each.positions += RATTLE * rng.normal(size=each.positions.shape)
    return made


def arrays(found: list[Any], cells: str = "vectors") -> Arrays:
    """Structures as leaves, padded with species 0; with cells where they have some."""
    sizes = [len(each) for each in found]
    positions, species = np.zeros((len(found), max(sizes), 3)), np.zeros((len(found), max(sizes)), dtype=np.int64)
    for row, each in enumerate(found):
        positions[row, : len(each)], species[row, : len(each)] = each.positions, each.numbers
    leaves = {"positions": torch.from_numpy(positions), "species": torch.from_numpy(species)}
    fields = {"positions": Point(unit="Å").over(ATOMS), "species": Category().over(ATOMS)}
    if any(each.pbc.any() for each in found):
        leaves["cell"] = torch.from_numpy(np.stack([each.cell.array for each in found]))
        leaves["periodic"] = torch.from_numpy(np.stack([each.pbc for each in found]).astype(np.int64))
        fields |= {
            "cell": (Vector(unit="Å") if cells == "vectors" else Scalar()).over(LATTICE),
            "periodic": Category().over(LATTICE),
        }
        if cells == "box":  # under a name that says nothing
            leaves["box"], fields["box"] = leaves.pop("cell"), fields.pop("cell")
    return Arrays(
        leaves, {}, fields=fields, target_fields={}, sizes={"atoms": sizes} if len(set(sizes)) > 1 else None
    )
