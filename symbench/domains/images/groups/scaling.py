"""Isotropic scalings."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group


class Scalings(Group):
    """Zooming about the centre. An element is the base-2 logarithm of its factor, float64 ``(k,)``.

    The logarithm adds under composition, so that inverses are exact. A factor above 1 enlarges.
    """

    element_ndim = 0
    count = None
    size_unit = "octaves"

    def __init__(self, reach: float) -> None:
        self.reach = reach
        self.name = "scalings"
        self.law = f"log-uniform on factors from {1 / reach:.4g} to {reach:.4g}"

    def identity(self) -> Tensor:
        """Factor 1."""
        return torch.zeros(1, dtype=torch.float64)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """Factors multiply: logarithms add up."""
        return g + h

    def inverse(self, g: Tensor) -> Tensor:
        """The reciprocal factor."""
        return -g

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Log-uniform on the range: the positive numbers are not compact and have no Haar probability."""
        uniform = 2 * torch.rand(count, dtype=torch.float64, generator=generator) - 1
        return uniform * math.log2(self.reach)

    def design(self, count: int) -> tuple[Tensor, Tensor]:
        """Equal steps in the logarithm from ``1 / reach`` to ``reach``, the identity first; trapezoid weights.

        Raises:
            ValueError: an odd count, which cannot be split evenly around the identity.
        """
        if count % 2:
            raise ValueError("an even number: half of them enlarge, half reduce")
        steps = torch.linspace(-1, 1, count + 1, dtype=torch.float64) * math.log2(self.reach)
        steps[count // 2] = 0.0
        weights = torch.full((count + 1,), 1 / count, dtype=torch.float64)
        weights[0] = weights[-1] = 0.5 / count
        order = torch.cat(
            [torch.tensor([count // 2]), torch.arange(count // 2), torch.arange(count // 2 + 1, count + 1)]
        )
        return steps[order], weights[order]

    def factors(self, g: Tensor) -> Tensor:
        """The factor of each element."""
        return torch.exp2(g)

    def size(self, g: Tensor) -> Tensor:
        """``|log2 factor|``, in octaves."""
        return g.abs()

    def canonical(self, g: Tensor) -> Tensor:
        """The logarithm, to 1e-12."""
        return torch.round(g, decimals=12)[:, None] + 0.0

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``factor``."""
        return [{"factor": factor} for factor in self.factors(g).tolist()]

    def labels(self, g: Tensor) -> list[str]:
        """``x1.25``."""
        return [f"x{factor:.6g}" for factor in self.factors(g).tolist()]
