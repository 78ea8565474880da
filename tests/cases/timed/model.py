"""Networks that take memory: some that is known, or more than there is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ROOM = 1_000_000
"""Numbers of 4 bytes that :class:`Roomy` holds while it runs, and no longer."""
MOST = 8
"""Samples that fit :class:`Narrow`."""


class Plain(nn.Module):
    """Two numbers of an image, times weights."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([images.mean((1, 2, 3)), images.amax((1, 2, 3))], 1) * self.scale


class Roomy(Plain):
    """Holds twice as much as it needs for a moment."""

    def forward(self, images: Tensor) -> Tensor:
        first = torch.zeros(ROOM)
        second = first + 1
        del first
        third = torch.zeros(ROOM // 2)
        return super().forward(images) + 0 * (second[0] + third[0])


class Narrow(Plain):
    """Has no room for more than a few samples."""

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > MOST:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return super().forward(images)


class Normalised(nn.Module):
    """A convolution whose outputs are normalised, which can be merged into it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.head = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.norm(self.conv(images)).relu().mean((2, 3)))
        return out
