"""Atoms: molecules and crystals, their species and cells, and what potentials say of them.

How groups of space move positions, cells, forces and stress stands with points; what only atoms have stands here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Limits

from symbench.algebra.actions import ActionRow, Family
from symbench.algebra.controls import ControlRow
from symbench.algebra.groups import GroupRow
from symbench.algebra.metrics import MetricRow
from symbench.base.registry import Options
from symbench.domains.atoms.datasets import DATASETS
from symbench.domains.atoms.fields import CRYSTAL_LEAVES
from symbench.domains.atoms.models import ADAPTERS, MODELS
from symbench.domains.common.declarations import DeclarationRow

__all__ = ["ACTIONS", "ADAPTERS", "CONTROLS", "DATASETS", "DECLARATIONS", "FAMILIES", "GROUPS", "METRICS", "MODELS"]

HOME = "symbench.domains.atoms"


class WrapOptions(Options):
    """``wrap``: each atom is moved by up to ``reach`` of the lattice's vectors, along each direction by itself."""

    reach: Annotated[int, Limits(ge=1, le=1000)] = 1


class LatticeOptions(Options):
    """``lattice``: other bases of the vectors ``along``, of a right- or left-handed cell unless its ``hand`` is kept.

    In what is drawn one vector is added to another or taken from it ``steps`` times; more make longer cells.
    """

    along: Literal["abc", "ab", "ac", "bc"] = "abc"
    steps: Annotated[int, Limits(ge=1, le=8)] = 3
    hand: Literal["any", "kept"] = "any"


GROUPS = {
    "wrap": GroupRow(
        f"{HOME}.groups.wrap:Wrap",
        "atoms moved by whole vectors of the lattice, each by its own",
        WrapOptions,
        "wraps",
        aliases=("pbc", "periodic", "unwrap"),
        sized=True,
    ),
    "lattice": GroupRow(
        f"{HOME}.groups.lattice:Bases",
        "other bases of the same lattice: whole-numbered matrices of determinant 1 and -1",
        LatticeOptions,
        "lattices",
        written="GL(3,Z)",
        aliases=("GL3Z", "GL(3,Z)", "unimodular", "niggli"),
    ),
}
DECLARATIONS = {
    "cell": DeclarationRow(
        "",
        "a crystal's vectors, as rows",
        beside="positions",
        families=frozenset({"space", "motions", "spin"}),
        value="Vector",
    ),
}
CONTROLS = {
    "supercell": ControlRow(
        f"{HOME}.supercell:repeated",
        "what becomes of energy, forces and stress where the cell is repeated along one of its vectors",
        suits=CRYSTAL_LEAVES,
        passes=56,
    ),
}
METRICS = {
    f"supercell_{name}": MetricRow(
        f"{HOME}.scores:supercell_{name}",
        f"largest change of {what} where a crystal's cell is repeated",
        unit=unit,
        better="lower",
        scope="model",
        heading=f"supercell {name}",
        shown=(),
        observations=False,
    )
    for name, what, unit in (
        ("energy", "the energy for each atom", "eV/atom"),
        ("forces", "a force", "eV/Å"),
        ("stress", "a component of the stress", "eV/Å^3"),
    )
}
STAYS = frozenset(
    {"Axis", "Index", "Vector", "PseudoVector", "PseudoScalar", "Tensor", "Voigt", "Spherical", "DirectSum", "Spinor"}
)
"""What another description of the same atoms leaves alone: forces, stress and all else that is no position."""
FAMILIES = {"wraps": Family(STAYS), "lattices": Family(STAYS - {"Vector"} | {"Point"})}
ACTIONS = {
    "wrap-points": ActionRow(
        f"{HOME}.actions.relabel:WrapPoints", "move atoms by vectors of their lattice", Options, "wraps", "Point"
    ),
    "mix-vectors": ActionRow(
        f"{HOME}.actions.relabel:MixVectors",
        "take other vectors of the same lattice for its cell",
        Options,
        "lattices",
        "Vector",
        named=True,
    ),
}
