"""Structures of atoms, one by one, and the tensors that many of them make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.statistics import Array
from symbench.domains.atoms.fields import ATOMS, ATOMS_LEAVES, CRYSTAL_LEAVES, CRYSTAL_TARGETS
from symbench.domains.common.datasets.base import Arrays


@dataclass(frozen=True)
class Structure:
    """One molecule, cluster or crystal.

    Attributes:
        species: atomic numbers ``(atoms,)``.
        positions: ``(atoms, 3)`` in Å, float64.
        cell: the lattice's vectors as rows ``(3, 3)`` in Å; None where nothing repeats.
        periodic: along which of them the atoms repeat.
    """

    species: Array
    positions: Array
    cell: Array | None = None
    periodic: tuple[bool, bool, bool] = (False, False, False)

    def rounded(self) -> Structure:
        """With lengths that float32 holds exactly, so that a potential speaks of what every model sees."""
        cell = None if self.cell is None else _rounded(self.cell)
        return Structure(self.species, _rounded(self.positions), cell, self.periodic)


def _rounded(x: Array) -> Array:
    return x.astype(np.float32).astype(np.float64)


class Structures(Arrays):
    """Structures in memory, with remarks on them.

    Attributes:
        notes: the remarks.
    """

    notes: Sequence[str] = ()

    def remarks(self) -> list[str]:
        """What whoever made them has to say of them."""
        return list(self.notes)


def atoms_of(structure: Structure) -> Any:
    """The structure as ASE's ``Atoms``."""
    from ase import Atoms

    return Atoms(structure.species, structure.positions, cell=structure.cell, pbc=structure.periodic)


def dataset(
    structures: Sequence[Structure], targets: Mapping[str, Sequence[Array]], *, crystals: bool, ragged: bool
) -> Structures:
    """All structures as one dataset, padded to the largest; lengths and targets are float64.

    Args:
        structures: at least one.
        targets: by their names, what is right of each structure: energy ``(1,)``, forces ``(atoms, 3)``, stress
            ``(3, 3)``.
        crystals: they have cells.
        ragged: they may differ in how many atoms they have.
    """
    fields = CRYSTAL_LEAVES if crystals else ATOMS_LEAVES
    leaves = {
        "positions": padded([each.positions for each in structures]),
        "species": padded([each.species for each in structures]),
    }
    if crystals:
        cells = [np.zeros((3, 3)) if each.cell is None else each.cell for each in structures]
        leaves["cell"] = torch.from_numpy(np.stack(cells))
        leaves["periodic"] = torch.tensor([each.periodic for each in structures], dtype=torch.int64)
    return Structures(
        leaves,
        {name: padded(values) for name, values in targets.items()},
        fields=fields,
        target_fields={name: CRYSTAL_TARGETS[name] for name in targets},
        sizes={ATOMS.name: [len(each.species) for each in structures]} if ragged else None,
    )


def padded(values: Sequence[Array]) -> Tensor:
    """Arrays ``(m, ...)`` that differ in m at most as one tensor ``(n, most, ...)``, with zeros behind."""
    most = max(len(value) for value in values)
    whole = np.zeros((len(values), most, *values[0].shape[1:]), values[0].dtype)
    for row, value in zip(whole, values, strict=True):
        row[: len(value)] = value
    return torch.from_numpy(whole)
