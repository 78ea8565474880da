"""What data of atoms is made of: leaves and targets with their units, by the names that all datasets here share."""

from __future__ import annotations

from collections.abc import Mapping

from symbench.algebra.fields import Axis, Category, Field, Mask, Point, Scalar, Tensor, Vector, mask_of

ATOMS, LATTICE = Axis("atoms"), Axis("lattice")

ATOMS_LEAVES: Mapping[str, Field] = {
    "positions": Point(unit="Å").over(ATOMS),
    "species": Category().over(ATOMS),
}
"""``positions`` ``(n, atoms, 3)``; ``species`` ``(n, atoms)``, int64, atomic numbers. Padding holds zeros."""
CRYSTAL_LEAVES: Mapping[str, Field] = {
    **ATOMS_LEAVES,
    "cell": Vector(unit="Å").over(LATTICE),
    "periodic": Category(2).over(LATTICE),
}
"""The same with ``cell`` ``(n, 3, 3)``, whose rows are the lattice's vectors, and ``periodic`` ``(n, 3)``, int64: 1
for those along which the atoms repeat, 0 for the others."""
ATOMS_MASK: Mapping[str, Field] = {mask_of(ATOMS.name): Mask().over(ATOMS)}
"""Beside either, where samples differ in how many atoms they have."""

ATOMS_TARGETS: Mapping[str, Field] = {
    "energy": Scalar(unit="eV", per=ATOMS.name),
    "forces": Vector(unit="eV/Å").over(ATOMS),
}
"""``energy`` ``(n, 1)``, ``forces`` ``(n, atoms, 3)``: targets of data, and outputs of models."""
CRYSTAL_TARGETS: Mapping[str, Field] = {**ATOMS_TARGETS, "stress": Tensor(2, symmetric=True, unit="eV/Å^3")}
"""The same with ``stress`` ``(n, 3, 3)``, the derivative of the energy by strain, over the volume."""
