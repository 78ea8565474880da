"""Models of atoms: calculators of ASE by their names, and as users' code returns them."""

from __future__ import annotations

from typing import Any

from pydantic import Field as Limits

from symbench.base.registry import Options
from symbench.domains.atoms.fields import ATOMS_MASK, CRYSTAL_LEAVES
from symbench.domains.common.models import ModelRow
from symbench.domains.common.models.adapters import AdapterRow

HOME = "symbench.domains.atoms.models"


class AseOptions(Options):
    """``ase/<NAME>``: what the calculator is called with, such as ``options: {sigma: 3.4}``.

    ``symbol: Ar`` says what all atoms are, for data that does not. ``stress`` says whether it is returned too; by
    default it is where the data has cells and the calculator knows it.
    """

    options: dict[str, Any] = Limits(default_factory=dict)
    symbol: str | None = None
    stress: bool | None = None


POSITIONS = {"positions": CRYSTAL_LEAVES["positions"]}
BESIDE = {name: field for name, field in {**CRYSTAL_LEAVES, **ATOMS_MASK}.items() if name not in POSITIONS}
"""What calculators are handed where a dataset has it: atomic numbers, which of the atoms are real, the lattice
vectors, and along which of them the structure repeats."""
ADAPTERS = {
    "calculator": AdapterRow(
        f"{HOME}.calculators:AseModel", "a calculator of ASE", marks=("get_potential_energy", "get_forces")
    ),
}
MODELS = {
    "ase/<NAME>": ModelRow(
        f"{HOME}.ase:Ase",
        "a calculator of ASE, such as ase/emt, ase/lj or ase/sevennet: energy, forces and stress",
        AseOptions,
        POSITIONS,
        optional=BESIDE,
        pads=True,
        source=True,
        library="ase",
        complete=True,
        runs_code=True,
    ),
}
