"""Whole vectors of the lattice, as many for each atom."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group


class Wrap(Group):
    """How many of each of the lattice's vectors every atom is moved by, int64 ``(k, atoms, 3)``: ``Z^(3 atoms)``.

    The group is all of it; ``reach`` only says which elements are drawn.

    Args:
        n: how many atoms.
        reach: the most vectors that an atom is moved by along each direction.
    """

    name = "wrap"
    element_ndim = 2
    count = None
    size_unit = "atoms"

    def __init__(self, n: int, reach: int = 1) -> None:
        self.n = n
        self.reach = reach
        self.law = f"uniform on -{reach} to {reach} vectors of the lattice, along each direction, for each atom"

    def identity(self) -> Tensor:
        """All stay where they are."""
        return torch.zeros(1, self.n, 3, dtype=torch.int64)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """The sum."""
        return g + h

    def inverse(self, g: Tensor) -> Tensor:
        """Back by as many."""
        return -g

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """From :attr:`law`: a lattice without end has no Haar probability."""
        return torch.randint(-self.reach, self.reach + 1, (count, self.n, 3), generator=generator)

    def size(self, g: Tensor) -> Tensor:
        """How many atoms are moved."""
        return (g != 0).any(-1).sum(-1).double()

    def canonical(self, g: Tensor) -> Tensor:
        """The numbers themselves."""
        return g.flatten(-2).double()

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``moved`` atoms, and the ``farthest`` number of vectors along one direction."""
        farthest = g.abs().flatten(-2).amax(-1).double().tolist()
        return [{"moved": moved, "farthest": far} for moved, far in zip(self.size(g).tolist(), farthest, strict=True)]

    def labels(self, g: Tensor) -> list[str]:
        """``identity``, or a digest of the numbers."""
        rows = g.flatten(-2).tolist()
        digests = (hashlib.sha256(",".join(map(str, row)).encode()).hexdigest()[:8] for row in rows)
        return [f"w-{digest}" if any(row) else "identity" for row, digest in zip(rows, digests, strict=True)]
