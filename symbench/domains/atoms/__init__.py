"""Atoms: molecules and crystals, their species and cells, and what potentials say of them.

How groups of space move positions, cells, forces and stress stands with points; what only atoms have stands here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Limits

from symbench.algebra.actions import ActionRow, Family
from symbench.algebra.groups import GroupRow
from symbench.base.registry import Options
from symbench.domains.atoms.datasets import DATASETS
from symbench.domains.atoms.models import ADAPTERS, MODELS
from symbench.domains.common.declarations import DeclarationRow

__all__ = ["ACTIONS", "ADAPTERS", "DATASETS", "DECLARATIONS", "FAMILIES", "GROUPS", "MODELS"]

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
