"""The symmetric groups."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group

MOST_LISTED = 8
"""S_8 has 40,320 elements; larger groups are drawn from, and never enumerated."""


class Symmetric(Group):
    """The permutations of n things. ``p`` sends place ``i`` to place ``p[i]``; int64 ``(k, n)``.

    ``act(p, x)[p[i]] = x[i]`` is a left action. ``x[p]`` would be a right one: equal to it for p inverse.
    """

    element_ndim = 1
    size_unit = "moved"

    def __init__(self, n: int) -> None:
        self.n = n
        self.count = math.factorial(n) if n <= MOST_LISTED else None
        self.name = f"S{n}"

    def identity(self) -> Tensor:
        """Everything stays."""
        return torch.arange(self.n)[None]

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """``(g h)[i] = g[h[i]]``."""
        g, h = torch.broadcast_tensors(g, h)
        return g.gather(-1, h)

    def inverse(self, g: Tensor) -> Tensor:
        """``argsort``: where everything came from."""
        return torch.argsort(g, dim=-1)

    def elements(self) -> Tensor:
        """All n! permutations, in lexicographic order."""
        if self.count is None:
            raise ValueError(f"{self.name} has {self.n}! elements, too many to list")
        rows = torch.zeros(1, 0, dtype=torch.int64)
        for size in range(1, self.n + 1):
            first = torch.arange(size).repeat_interleave(len(rows))[:, None]
            rest = rows.repeat(size, 1)
            rows = torch.cat([first, rest + (rest >= first)], dim=1)
        return rows

    def subgroups(self) -> list[Tensor]:
        """The exchange of the first two places, which padding has no part in."""
        swap = torch.arange(self.n)
        swap[:2] = torch.tensor([1, 0])
        return [torch.stack([torch.arange(self.n), swap])] if self.n > 1 else []

    def generating(self) -> dict[str, Tensor]:
        """``swap`` of the first two, and ``cycle``, which sends each to the next and the last to the first."""
        if self.count is None:
            return {}
        swap, cycle = torch.arange(self.n), torch.remainder(torch.arange(self.n) + 1, self.n)
        swap[:2] = torch.tensor([1, 0])
        return {"swap": swap[None], "cycle": cycle[None]}

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform (Fisher-Yates): the Haar measure of a finite group."""
        return torch.stack([torch.randperm(self.n, generator=generator) for _ in range(count)])

    def sample_within(self, size: int, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform among the permutations of the first ``size`` things: a subgroup, S_size."""
        rest = torch.arange(size, self.n)
        return torch.stack([torch.cat([torch.randperm(size, generator=generator), rest]) for _ in range(count)])

    def size(self, g: Tensor) -> Tensor:
        """How many things moved."""
        return (g != torch.arange(self.n)).sum(dim=-1).double()

    def canonical(self, g: Tensor) -> Tensor:
        """The permutation itself."""
        return g.double()

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``moved``."""
        return [{"moved": moved} for moved in self.size(g).tolist()]

    def labels(self, g: Tensor) -> list[str]:
        """``identity``, or the images of 0 ... n - 1 for small n, and a digest of them for large n."""
        return [self._label(row) for row in g.tolist()]

    def _label(self, row: list[int]) -> str:
        if row == list(range(self.n)):
            return "identity"
        if self.n <= 9:
            return "".join(str(i) for i in row)
        return "p-" + hashlib.sha256(",".join(map(str, row)).encode()).hexdigest()[:8]

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """The sign and the standard representation (permutation matrices without the constant vector)."""
        matrices = torch.nn.functional.one_hot(g, self.n).double().transpose(-1, -2)  # (k, n, n): M e_i = e_p[i]
        basis = _centred_basis(self.n)
        found = {"sign": torch.linalg.det(matrices).round()[:, None, None]}
        if self.n > 2:
            found["standard"] = basis.T @ matrices @ basis
        return found


def _centred_basis(n: int) -> Tensor:
    """Orthonormal columns ``(n, n - 1)`` that span the vectors with mean zero."""
    columns = torch.cat([torch.ones(n, 1), torch.eye(n)[:, 1:]], dim=1).double()
    return torch.linalg.qr(columns).Q[:, 1:]
