"""Linear models on sets, without an intercept: what theory can tell all of."""

from __future__ import annotations

from math import prod, sqrt

from torch import Tensor, nn


class Linear(nn.Module):
    """One weight for each number of each row: what it learns depends on the order of the rows."""

    def __init__(self, *, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), outputs, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Sets ``(n, rows, d)`` to outputs ``(n, outputs)``."""
        out: Tensor = self.layers(x)
        return out


class SymmetricLinear(nn.Module):
    """All linear functions that are invariant under permutations of the rows: one weight for each coordinate.

    Its features are the sums over rows over the square root of their number, of unit variance where the rows are.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.weight = nn.Linear(shape[-1], outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Sets ``(n, rows, d)`` to outputs ``(n, outputs)``."""
        out: Tensor = self.weight(x.sum(dim=1) / sqrt(x.shape[1]))
        return out
