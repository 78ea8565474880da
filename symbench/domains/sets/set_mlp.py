"""A fully connected network on sets."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn


class SetMlp(nn.Module):
    """All rows end to end through two hidden layers: what it learns depends on the order of the rows."""

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(prod(shape), width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Sets ``(n, rows, d)`` to outputs ``(n, outputs)``."""
        out: Tensor = self.layers(x)
        return out
