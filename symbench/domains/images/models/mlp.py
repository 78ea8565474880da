"""A fully connected network on pixels."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from torch import Tensor, nn


class Mlp(nn.Module):
    """``depth`` hidden layers of ``width``: nothing about images is built in, so it sees no symmetry at all."""

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, depth: int) -> None:
        super().__init__()
        sizes = [prod(shape), *[width] * depth]
        hidden = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        out: Tensor = self.layers(x)
        return out
