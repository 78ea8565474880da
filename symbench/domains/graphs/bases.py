"""The choices that eigenvectors leave open, as groups: a sign of each, and a basis of each eigenspace."""

from __future__ import annotations

import hashlib
import itertools

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group

MOST_LISTED = 10
"""Signs of 10 eigenvectors are 1,024; of more they are drawn, and never enumerated."""


class Signs(Group):
    """``{1, -1}^k``. Elements are their signs, int64 ``(count, k)``."""

    element_ndim = 1
    size_unit = "negated"

    def __init__(self, k: int) -> None:
        self.k = k
        self.count = 2**k if k <= MOST_LISTED else None
        self.name = f"signs{k}"

    def identity(self) -> Tensor:
        """No sign changes."""
        return torch.ones(1, self.k, dtype=torch.int64)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """The products."""
        return g * h

    def inverse(self, g: Tensor) -> Tensor:
        """Each is its own."""
        return g.clone()

    def elements(self) -> Tensor:
        """All of them, the identity first."""
        if self.count is None:
            raise ValueError(f"{self.name} has 2^{self.k} elements, too many to list")
        return torch.tensor(list(itertools.product([1, -1], repeat=self.k)))

    def generating(self) -> dict[str, Tensor]:
        """``flip<i>`` negates the eigenvector i."""
        return {f"flip{i}": row[None] for i, row in enumerate(1 - 2 * torch.eye(self.k, dtype=torch.int64))}

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform: the Haar measure of a finite group."""
        return 1 - 2 * torch.randint(2, (count, self.k), generator=generator)

    def size(self, g: Tensor) -> Tensor:
        """How many are negated."""
        return (g < 0).sum(dim=-1).double()

    def canonical(self, g: Tensor) -> Tensor:
        """The signs."""
        return g.double()

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``negated``."""
        return [{"negated": negated} for negated in self.size(g).tolist()]

    def labels(self, g: Tensor) -> list[str]:
        """``identity``, or the signs."""
        return ["".join("+" if s > 0 else "-" for s in row) if min(row) < 0 else "identity" for row in g.tolist()]

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Each sign, and the product of all."""
        signs = g.double()
        each = {f"sign {i}": signs[:, i, None, None] for i in range(self.k)}
        return {**each, "all": signs.prod(-1)[:, None, None]}


def intervals(k: int) -> list[tuple[int, int]]:
    """Every run of columns that may be an eigenspace, first and behind the last; k (k + 1) / 2 of them."""
    return [(first, last) for first in range(k) for last in range(first + 1, k + 1)]


class Bases(Group):
    """An orthogonal matrix for every run of columns that could be an eigenspace: the product of the O(m) of all runs.

    Which runs a sample has is the sample's own; its eigenspaces are turned by the matrices of these, and those of
    others do nothing to it. Elements are float64 ``(count, runs, k, k)``: each matrix is the unit matrix outside of
    its run.
    """

    element_ndim = 3
    size_unit = "distance"
    count = None

    def __init__(self, k: int) -> None:
        self.k = k
        self.name = f"bases{k}"
        self.runs = intervals(k)

    def identity(self) -> Tensor:
        """Unit matrices."""
        return torch.eye(self.k, dtype=torch.float64).expand(1, len(self.runs), -1, -1).clone()

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """The matrices' products."""
        return g @ h

    def inverse(self, g: Tensor) -> Tensor:
        """The transposes."""
        return g.mT.clone()

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Haar, in each run by itself."""
        found = self.identity().repeat(count, 1, 1, 1)
        for number, (first, last) in enumerate(self.runs):
            found[:, number, first:last, first:last] = orthogonal(last - first, count, generator=generator)
        return found

    def size(self, g: Tensor) -> Tensor:
        """The largest distance of a run's matrix from the unit matrix, ``|Q - 1| / 2 sqrt(m)``: 1 for Q = -1."""
        distances = (g - self.identity()).flatten(-2).norm(dim=-1)
        widths = torch.tensor([last - first for first, last in self.runs], dtype=torch.float64)
        return (distances / (2 * widths.sqrt())).amax(-1)

    def canonical(self, g: Tensor) -> Tensor:
        """The matrices' entries."""
        return g.flatten(1)

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``distance``."""
        return [{"distance": distance} for distance in self.size(g).tolist()]

    def labels(self, g: Tensor) -> list[str]:
        """``identity``, or a digest of the entries to 9 decimals."""
        unit = self.identity()[0]
        return ["identity" if torch.equal(row, unit) else _label(row) for row in g]

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Of each run, the matrix itself, which is irreducible under O(m), and its determinant."""
        found = {}
        for number, (first, last) in enumerate(self.runs):
            matrix = g[:, number, first:last, first:last]
            found[f"{first} to {last - 1}"] = matrix
            found[f"determinant {first} to {last - 1}"] = torch.linalg.det(matrix).round()[:, None, None]
        return found


def orthogonal(m: int, count: int, *, generator: torch.Generator) -> Tensor:
    """Orthogonal matrices ``(count, m, m)``, float64, drawn from the Haar measure of O(m) (Mezzadri, 2007).

    The diagonal of R is made positive: as LAPACK leaves it, Q is far from uniform.
    """
    q, r = torch.linalg.qr(torch.randn(count, m, m, generator=generator, dtype=torch.float64))
    return q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None, :]


def _label(row: Tensor) -> str:
    text = ",".join(f"{x + 0.0:.9f}" for x in row.flatten().tolist())
    return "b-" + hashlib.sha256(text.encode()).hexdigest()[:8]
