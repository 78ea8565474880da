"""A network whose filters have some of their places only, and with them some of the symmetries."""

from __future__ import annotations

from itertools import chain
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

SUPPORTS = {
    "plus": [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
    "corner": [[1, 1, 0], [1, 0, 1], [0, 1, 0]],
    "row": [[0, 0, 0], [1, 1, 1], [0, 0, 0]],
    "full": [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
}
"""Quarter turns keep ``plus`` and ``full``, nearly keep ``corner`` (four arms and a corner) and break ``row``."""


class SupportConv(nn.Module):
    """A 3 x 3 convolution with zero padding whose filters are zero outside their support."""

    def __init__(self, channels: int, width: int, support: str) -> None:
        super().__init__()
        self.places = [i for i, there in enumerate(chain.from_iterable(SUPPORTS[support])) if there]
        bound = (3 / (channels * len(self.places))) ** 0.5  # of a uniform distribution of variance 1 / fan-in
        self.weight = nn.Parameter(torch.empty(width, channels, len(self.places)).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, h, w)`` to ``(n, width, h, w)``."""
        filters = self.weight.new_zeros((*self.weight.shape[:2], 9))
        filters = filters.index_copy(2, torch.tensor(self.places, device=filters.device), self.weight)
        return conv2d(x, filters.unflatten(2, (3, 3)), self.bias, padding=1)


class SupportCnn(nn.Module):
    """Two such layers with tanh, and a linear head on all places (Nordenfors & Flinth 2024, arXiv:2410.01452).

    With a support that quarter turns keep, the mean over infinitely many networks trained on random quarter turns is
    invariant under these, though no network is: each breaks the symmetry its own way. With one that they do not keep,
    part of what is broken is broken by all.
    """

    def __init__(
        self, *, shape: tuple[int, ...], outputs: int, width: int, support: Literal["plus", "corner", "row", "full"]
    ) -> None:
        super().__init__()
        channels, height, across = shape
        self.features = nn.Sequential(
            SupportConv(channels, width, support), nn.Tanh(), SupportConv(width, width, support), nn.Tanh()
        )
        self.head = nn.Linear(width * height * across, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        out: Tensor = self.head(self.features(x).flatten(1))
        return out
