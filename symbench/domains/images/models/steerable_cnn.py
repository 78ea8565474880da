"""What stands around the layers of a library of steerable networks: plain tensors in, invariants and logits out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-4
"""Added to squared norms of about 1: norms have a gradient at 0, and rounding errors there are not blown up."""


class Maximum(nn.Module):
    """The maximum over the orientations of every regular field, which moves permute.

    Not the libraries' ``GroupPooling``, which gives float32 whatever it is given, so that no error could be measured
    in float64.
    """

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, maps: Tensor) -> Tensor:
        """``(n, width * order, h, w)`` to ``(n, width, h, w)``."""
        return maps.unflatten(1, (-1, self.order)).amax(dim=2)


class Norms(nn.Module):
    """The scalar of every feature and the norms of its other parts; ``NormPool`` gives float32 alone likewise."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(sizes)

    def forward(self, maps: Tensor) -> Tensor:
        """``(n, width * sum(sizes), h, w)`` to ``(n, width * len(sizes), h, w)``."""
        scalar, *others = maps.unflatten(1, (-1, sum(self.sizes))).split(self.sizes, dim=2)
        norms = [(each.square().sum(dim=2, keepdim=True) + EPSILON).sqrt() for each in others]
        return torch.cat([scalar, *norms], dim=2).flatten(1, 2)


class SteerableCnn(nn.Module):
    """Layers of a library between plain tensors: invariants of their features, the mean over places, a linear head.

    Args:
        features: the library's layers, with an ``in_type``.
        invariants: what is left of their features.
        numbers: invariants at every place.
        outputs: how many logits.
        typed: the library's ``GeometricTensor``.
    """

    def __init__(self, features: nn.Module, invariants: nn.Module, numbers: int, outputs: int, typed: Any) -> None:
        super().__init__()
        self.features, self.invariants, self.typed = features, invariants, typed
        self.head = nn.Linear(numbers, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        maps = self.features(self.typed(x, self.features.in_type)).tensor
        out: Tensor = self.head(self.invariants(maps).mean(dim=(-2, -1)))
        return out
