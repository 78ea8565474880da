"""A network that sees each pixel by itself: exact under every permutation of pixels."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class PixelMlp(nn.Module):
    """Convolutions of 1 x 1, which are one fully connected network at every pixel.

    What it says of a pixel moves wherever that pixel goes, so that it is exact under turns, shifts and mirrors alike,
    and knows of no shape: the least that a network on maps can do.

    Args:
        shape: ``(c, h, w)``.
        outputs: how many logits at each pixel.
        width: of the hidden layers.
        depth: how many of those there are.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([shape[0], *[width] * depth]):
            layers += [nn.Conv2d(before, after, 1), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs, h, w)``."""
        out: Tensor = self.head(self.features(x))
        return out
