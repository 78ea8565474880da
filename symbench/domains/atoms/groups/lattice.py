"""Other bases of the same lattice."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group

AXES = "abc"


class Bases(Group):
    """Whole-numbered matrices of determinant 1 or -1, int64 ``(k, 3, 3)``: ``GL(3, Z)``, or that of fewer vectors.

    ``U`` takes the rows of a cell to ``U cell``, which generate the same lattice, and nothing else does.

    Args:
        along: the vectors that are mixed, some of ``abc``; the others stay.
        steps: how often one vector is added to, or taken from, another in what is drawn.
        hand: ``kept`` draws determinant 1 alone, ``any`` both, printed apart: a cell may become left-handed.
    """

    name = "lattice"
    element_ndim = 2
    count = None
    size_unit = "vectors"

    def __init__(self, along: str = AXES, steps: int = 3, hand: str = "any") -> None:
        self.along = [AXES.index(each) for each in along]
        self.steps = steps
        self.hand = hand
        signs = "exchanges and signs" if hand == "any" else "exchanges and signs that keep the hand"
        self.law = f"{signs} of {', '.join(along)}, uniform, after {steps} additions of one of them to another"

    def identity(self) -> Tensor:
        """The same basis."""
        return torch.eye(3, dtype=torch.int64)[None]

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """The matrices' product, in whole numbers."""
        return (g[..., :, :, None] * h[..., None, :, :]).sum(-2)

    def inverse(self, g: Tensor) -> Tensor:
        """The adjugate times the determinant, which is 1 or -1: whole numbers without rounding."""
        rows = [torch.linalg.cross(g[..., (i + 1) % 3, :], g[..., (i + 2) % 3, :]) for i in range(3)]
        return torch.stack(rows, dim=-1) * determinant(g)[..., None, None]

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """From :attr:`law`: a group without end has no Haar probability."""
        return torch.stack([self._drawn(generator) for _ in range(count)])

    def _drawn(self, generator: torch.Generator) -> Tensor:
        found, size = torch.eye(3, dtype=torch.int64), len(self.along)
        for _ in range(self.steps):
            first, second = torch.randperm(size, generator=generator)[:2].tolist()
            sign = 1 - 2 * int(torch.randint(2, (1,), generator=generator))
            found[self.along[first]] += sign * found[self.along[second]]
        order = torch.arange(3)
        order[self.along] = torch.tensor(self.along)[torch.randperm(size, generator=generator)]
        found = found[order]
        signs = 1 - 2 * torch.randint(2, (size,), generator=generator)
        found[self.along] *= signs[:, None]
        if self.hand == "kept" and int(determinant(found)) < 0:
            found[self.along[0]] *= -1
        return found

    def size(self, g: Tensor) -> Tensor:
        """How many vectors the new ones are made of beside themselves: the sum of the entries of ``|U - 1|``."""
        return (g - torch.eye(3, dtype=torch.int64)).abs().sum((-1, -2)).double()

    def canonical(self, g: Tensor) -> Tensor:
        """The entries."""
        return g.flatten(-2).double()

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``vectors``, as :meth:`size`, and the ``determinant``."""
        pairs = zip(self.size(g).tolist(), determinant(g).double().tolist(), strict=True)
        return [{"vectors": vectors, "determinant": each} for vectors, each in pairs]

    def labels(self, g: Tensor) -> list[str]:
        """The new vectors: ``a+b, b, -c``."""
        return [", ".join(map(_combination, row)) for row in g.tolist()]

    def strata(self, g: Tensor) -> list[str] | None:
        """``same hand`` and ``other hand``, where both are drawn."""
        if self.hand == "kept":
            return None
        return ["same hand" if each > 0 else "other hand" for each in determinant(g).tolist()]


def determinant(g: Tensor) -> Tensor:
    """Of whole-numbered matrices ``(*batch, 3, 3)``, in whole numbers."""
    return (g[..., 0, :] * torch.linalg.cross(g[..., 1, :], g[..., 2, :])).sum(-1)


def _combination(row: list[int]) -> str:
    terms = [f"{each:+d}{name}" for each, name in zip(row, AXES, strict=True) if each]
    return "".join(terms).replace("+1", "+").replace("-1", "-").removeprefix("+")
