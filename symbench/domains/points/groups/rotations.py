"""All rotations of space, and all rotations and reflections."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from symbench.domains.points.groups import designs, quaternions
from symbench.domains.points.groups.space import EYE, TURNS, Orthogonal, improper, proper, rotations_of
from symbench.domains.points.harmonics import wigner

DEGREES = range(1, 5)
"""Of the irreducible representations that samples and designs are tested by."""


class SO3(Orthogonal):
    """The rotations of space.

    Args:
        degree: designs integrate every entry of D^0 to D^degree without error, and have as many elements as that
            takes; None for super-Fibonacci spirals, which come in any number.
    """

    name = "SO3"
    count = None
    algebra = TURNS

    def __init__(self, degree: int | None = None) -> None:
        self.degree = degree
        self.designed = degree is not None
        if degree is not None:
            self.usual = len(designs.exact_to(degree)[0]) - 1

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Haar: normalised quaternions of normal numbers."""
        return quaternions.matrices(quaternions.drawn(count, generator=generator))

    def design(self, count: int) -> tuple[Tensor, Tensor]:
        """A super-Fibonacci spiral of ``count + 1`` rotations of one weight; or the quadrature of the degree.

        Raises:
            ValueError: the quadrature has another number of elements.
        """
        if self.degree is None:
            total = count + 1
            found = quaternions.matrices(designs.spread(total))
            return found, torch.full((total,), 1 / total, dtype=torch.float64)
        if count != self.usual:
            raise ValueError(f"{self.usual}, or none: a design of degree {self.degree} has so many elements")
        return designs.exact_to(self.degree)

    def subgroups(self) -> list[Tensor]:
        """The rotations of a cube, and the half turn about z."""
        turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
        return [signed(with_inversion=False), torch.stack([EYE, turn])]

    def exponential(self, x: Tensor) -> Tensor:
        """Turns by ``|x|`` radians about x."""
        return rotations_of(x)

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Wigner's matrices D^1 to D^4."""
        return {f"l={degree}": wigner(degree, g, "standard") for degree in DEGREES}


class O3(SO3):
    """The rotations of space, and each with inversion: two strata."""

    name = "O3"

    def __init__(self, degree: int | None = None) -> None:
        super().__init__(degree)
        if degree is not None:
            self.usual = 2 * self.usual + 1

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Haar: a rotation, and inversion for every other on average."""
        rotations = super().sample(count, generator=generator)
        inverted = torch.randint(2, (count, 1, 1), generator=generator)
        return rotations * (1.0 - 2.0 * inverted)

    def design(self, count: int) -> tuple[Tensor, Tensor]:
        """As of SO(3) for either stratum, each with half of the weight; of an even count, a rotation more."""
        if self.degree is not None:
            if count != self.usual:
                raise ValueError(f"{self.usual}, or none: a design of degree {self.degree} has so many elements")
            rotations, shares = designs.exact_to(self.degree)
            return torch.cat([rotations, -rotations]), torch.cat([shares, shares]) / 2
        halves = [(count + 2) // 2, (count + 1) // 2]
        found = [quaternions.matrices(designs.spread(half)) for half in halves]
        weights = [torch.full((half,), 0.5 / half, dtype=torch.float64) for half in halves]
        return torch.cat([found[0], -found[1]]), torch.cat(weights)

    def subgroups(self) -> list[Tensor]:
        """All symmetries of a cube, and the mirror at the plane of x and y."""
        mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
        return [signed(with_inversion=True), torch.stack([EYE, mirror])]

    def strata(self, g: Tensor) -> list[str] | None:
        """``proper`` and ``improper``."""
        return strata_of(g)

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Those of SO(3), with the parity of the harmonics, and the determinant."""
        sign = torch.where(improper(g), -1.0, 1.0).double()[:, None, None]
        found = {name: each * sign**i for i, (name, each) in enumerate(super().irreps(proper(g)).items(), start=1)}
        return {"determinant": sign, **found}


def strata_of(matrices: Tensor) -> list[str]:
    """Which half of O(3) each matrix ``(k, 3, 3)`` is of."""
    return ["improper" if each else "proper" for each in improper(matrices).tolist()]


def signed(*, with_inversion: bool) -> Tensor:
    """The matrices of the group that exchange and negate axes, ``(24, 3, 3)``, or 48; the identity first."""
    orders = list(itertools.permutations(range(3)))
    signs = list(itertools.product((1.0, -1.0), repeat=3))
    found = torch.stack([EYE[list(order)] * torch.tensor(sign).double() for order in orders for sign in signs])
    return found if with_inversion else found[~improper(found)]


class Trivial(SO3):
    """The identity alone: what pure translations do to directions."""

    name = "trivial"

    def subgroups(self) -> list[Tensor]:
        """None: there is but one element."""
        return []

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """No turn."""
        del generator
        return EYE.expand(count, 3, 3).clone()
