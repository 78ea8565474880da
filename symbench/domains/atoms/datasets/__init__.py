"""Datasets of atoms: metals under a potential in closed form, molecules, and structures of files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic import Field as Limits

from symbench.algebra.fields import Field
from symbench.base.registry import Options
from symbench.domains.atoms.fields import ATOMS_LEAVES, ATOMS_MASK, CRYSTAL_LEAVES
from symbench.domains.common.datasets import DatasetRow, Split
from symbench.domains.common.datasets.numbers import least_and_most

HOME = "symbench.domains.atoms.datasets"
MOST_ATOMS = 64

LISTED = BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)
"""What takes one name for a list of it alone."""
Samples = Annotated[int, Limits(ge=2, le=1_000_000)]
Collection = Literal["g2", "s22", "chiral"]
Metal = Literal["Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au"]


class EmtOptions(Options):
    """``emt``: energy, forces and stress of small pieces of metal, by effective medium theory.

    ``periodic: true`` repeats the cube of 4 atoms along its edges to ``atoms`` in all, a number or ``[least, most]``
    that some number of cubes has; ``periodic: false`` cuts clusters of any such number, which have no stress. Each
    atom is one of the ``elements`` by itself; ``rattle`` is the standard deviation of its coordinates in Å, and
    ``strain`` that of each entry of the cell's strain. ``pose: random`` turns each in any way, ``aligned`` leaves
    edges along the axes.
    """

    split: Split = "test"
    periodic: bool = True
    atoms: Annotated[tuple[int, int], least_and_most("atoms", MOST_ATOMS, 16)] = (8, 8)
    elements: Annotated[tuple[Metal, ...], Limits(min_length=1, strict=False), LISTED] = ("Al", "Cu", "Au")
    rattle: Annotated[float, Limits(ge=0, le=1)] = 0.1
    strain: Annotated[float, Limits(ge=0, le=0.2)] = 0.03
    pose: Literal["aligned", "random"] = "random"
    samples: Samples = 400
    seed: Annotated[int, Limits(ge=0)] = 0


def emt_fields(options: Mapping[str, Any]) -> Mapping[str, Field]:
    """The leaves of ``emt`` under some options: a cell where it is periodic, a mask where sizes differ."""
    least, most = options["atoms"]
    leaves = CRYSTAL_LEAVES if options["periodic"] else ATOMS_LEAVES
    return leaves if least == most else {**leaves, **ATOMS_MASK}


class MoleculesOptions(Options):
    """``molecules``: structures of ASE's collections ``g2`` (small ones) and ``s22`` (pairs), and ``chiral`` ones.

    Chiral ones are built by RDKit and come in pairs, one behind the other: of the second all ``x`` are negated. They
    are what shows whether a model respects mirrors. ``names`` takes some alone, ``atoms`` those of such a size;
    ``rattle`` is the standard deviation of coordinates in Å. ``target: energy`` is what ASE's EMT makes of those of
    its elements: no chemistry, and exactly symmetric.
    """

    split: Split = "test"
    collection: Annotated[tuple[Collection, ...], Limits(min_length=1, strict=False), LISTED] = ("g2",)
    names: Annotated[tuple[str, ...], Limits(strict=False), LISTED] = ()
    atoms: Annotated[tuple[int, int], least_and_most("atoms", MOST_ATOMS, 16)] = (2, 32)
    rattle: Annotated[float, Limits(ge=0, le=1)] = 0.05
    pose: Literal["aligned", "random"] = "random"
    target: Literal["none", "energy"] = "none"
    samples: Samples = 400
    seed: Annotated[int, Limits(ge=0)] = 0


def molecules_fields(options: Mapping[str, Any]) -> Mapping[str, Field]:
    """The leaves of ``molecules`` under some options: a mask, unless all samples are one molecule."""
    return ATOMS_LEAVES if len(options["names"]) == 1 else {**ATOMS_LEAVES, **ATOMS_MASK}


class ExtxyzOptions(Options):
    """``extxyz``: the structures of a file in extended XYZ, with a cell where they are periodic.

    ``{split}`` in ``path`` stands for the split. ``energy``, ``forces`` and ``stress`` say what these are called in
    the file (``REF_energy``); they are targets where all structures have them. Units are ASE's: Å, eV and eV/Å^3.
    """

    path: str
    split: Split = "test"
    energy: str = "energy"
    forces: str = "forces"
    stress: str = "stress"


DATASETS = {
    "emt": DatasetRow(
        f"{HOME}.emt:load",
        "small crystals and clusters of metals with energy (eV), forces (eV/Å) and stress (eV/Å^3) by ASE's EMT",
        EmtOptions,
        CRYSTAL_LEAVES,
        varying=emt_fields,
        aliases=("metals", "crystals", "alloys"),
    ),
    "molecules": DatasetRow(
        f"{HOME}.molecules:load",
        "molecules of ASE's collections and chiral ones of RDKit's in both hands, rattled",
        MoleculesOptions,
        {**ATOMS_LEAVES, **ATOMS_MASK},
        varying=molecules_fields,
        aliases=("g2", "s22", "qm9", "chiral", "enantiomers"),
    ),
    "extxyz": DatasetRow(
        f"{HOME}.extxyz:load",
        "molecules or crystals of a file in extended XYZ, with the energies, forces and stresses that it holds",
        ExtxyzOptions,
        {**CRYSTAL_LEAVES, **ATOMS_MASK},
        varying=lambda _: None,
        aliases=("xyz", "ase", "structures"),
    ),
}
