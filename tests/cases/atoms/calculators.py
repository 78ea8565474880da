"""Calculators of a user's own, whole and broken, and data that they do not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ase.calculators.calculator import Calculator, all_changes, get_calculator_class
from data import arrays, structures
from torch import Tensor

from symbench.domains.atoms.models import BESIDE
from symbench.domains.atoms.models.calculators import AseModel
from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Axis, Field, Scalar


class Springs(Calculator):  # type: ignore[misc]
    """Every atom is drawn to the centroid; mirror images differ by the triple product of the first three."""

    implemented_properties = ("energy", "forces")

    def __init__(self, chiral: float = 0.0, worst: str = "") -> None:
        super().__init__()
        self.network = torch.nn.Linear(2, 3)
        self.chiral, self.worst, self.calls = chiral, worst, 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        x = atoms.positions - atoms.positions.mean(0)
        if self.worst == "raises" and 29 in atoms.numbers:
            raise RuntimeError("no basis for copper")
        if self.worst == "exits" and 29 in atoms.numbers:
            raise SystemExit(3)
        hand = self.chiral * np.linalg.det(x[:3]) if self.chiral else 0.0
        nan = np.nan if self.worst == "nan" and 29 in atoms.numbers else 0.0
        self.results = {"energy": np.square(x).sum() / 2 + hand + nan, "forces": -x}


def springs(**options: Any) -> Springs:
    return Springs(**options)


def with_salt() -> Arrays:
    """Metals, and at last a salt of species that EMT does not know."""
    return arrays([*structures("metals")[:2], structures("salt")[0]])


class FixedCell(AseModel):
    """Takes cells that no rotation moves: a mistake that data can make."""

    optional: Mapping[str, Field] = {
        **{name: field for name, field in BESIDE.items() if name != "cell"},
        "box": Scalar().over(Axis("lattice")),
    }

    def forward(self, positions: Tensor, box: Tensor | None = None, **others: Tensor) -> dict[str, Tensor]:
        return super().forward(positions, cell=box, **others)


def fixed_cell(name: str) -> AseModel:
    return FixedCell(get_calculator_class(name)())
