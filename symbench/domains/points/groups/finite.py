"""The rotations of the cube and of the icosahedron, and all symmetries of the cube."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from symbench.domains.points.groups import quaternions
from symbench.domains.points.groups.rotations import signed, strata_of
from symbench.domains.points.groups.space import EYE, Orthogonal, improper, proper
from symbench.domains.points.harmonics import wigner


class Finite(Orthogonal):
    """A finite group of orthogonal matrices.

    Attributes:
        listed: all of them, ``(order, 3, 3)``, the identity first.
    """

    listed: Tensor

    def elements(self) -> Tensor:
        """All of them, the identity first."""
        return self.listed.clone()

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform: the Haar measure of a finite group."""
        return self.listed[torch.randint(len(self.listed), (count,), generator=generator)]


class Octahedral(Finite):
    """The 24 rotations of a cube with its faces along the axes: signed permutations of x, y and z."""

    name = "O"
    count = 24

    def __init__(self) -> None:
        self.listed = signed(with_inversion=False)

    def generating(self) -> dict[str, Tensor]:
        """``turn``, a quarter about z, and ``cycle``, which takes x to y, y to z and z to x."""
        turn = torch.tensor([[0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
        return {"turn": turn[None], "cycle": EYE.roll(1, 0)[None]}

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Mulliken's A2, E, T1 and T2."""
        order = g.abs()  # which axis goes where
        sign = torch.linalg.det(order).round()[:, None, None]
        basis = torch.tensor([[1, -1, 0], [1, 1, -2]], dtype=torch.float64)
        basis = torch.nn.functional.normalize(basis, dim=1)
        return {"A2": sign, "E": basis @ order @ basis.T, "T1": g, "T2": sign * g}


class FullOctahedral(Octahedral):
    """The 48 symmetries of that cube: each rotation, and each with inversion."""

    name = "Oh"
    count = 48

    def __init__(self) -> None:
        super().__init__()
        self.listed = torch.cat([self.listed, -self.listed])

    def generating(self) -> dict[str, Tensor]:
        """Those of the rotations, and ``inversion``."""
        return {**super().generating(), "inversion": -EYE[None]}

    def strata(self, g: Tensor) -> list[str] | None:
        """``proper`` and ``improper``."""
        return strata_of(g)

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Those of the rotations, even and odd under inversion, and the determinant."""
        sign = torch.where(improper(g), -1.0, 1.0).double()[:, None, None]
        even = super().irreps(proper(g))
        found = {f"{name}{parity}": m * s for name, m in even.items() for parity, s in (("g", 1), ("u", sign))}
        return {"determinant": sign, **found}


class Icosahedral(Finite):
    """The 60 rotations of an icosahedron that has twofold axes along x, y and z, and a vertex at (0, 1, 1.618)."""

    name = "I"
    count = 60

    def __init__(self) -> None:
        self.listed = quaternions.matrices(_icosians())

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """T1 and H, which are D^1 and D^2; not T2, the conjugate of T1, and G."""
        return {"T1": g, "H": wigner(2, g, "standard")}


def _icosians() -> Tensor:
    """A unit quaternion of each pair ``q, -q`` of the 120 icosians, the identity first; ``(60, 4)``."""
    golden = (1 + 5**0.5) / 2
    found = [tuple(row) for row in torch.eye(4, dtype=torch.float64).tolist()]
    found += [(0.5, *signs) for signs in itertools.product((0.5, -0.5), repeat=3)]
    for order in itertools.permutations(range(4)):
        inversions = sum(order[i] > order[j] for i in range(4) for j in range(i + 1, 4))
        if inversions % 2 == 0:
            for signs in itertools.product((0.5, -0.5), repeat=2):
                numbers = (0.0, 0.5, signs[0] / golden, signs[1] * golden)
                found.append(tuple(numbers[place] for place in order))
    return torch.tensor(found, dtype=torch.float64)
