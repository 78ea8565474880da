"""Models of one number a sample, and of two, by name and out of order."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Brightness(nn.Module):
    """The mean of the upper half, ``(n, 1)``: it changes with the image."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :, :7].mean((1, 2, 3))[:, None]


class Learns(nn.Module):
    """Two numbers by name; the second target comes first."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(225, 1), nn.Linear(225, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        pixels = images.flatten(1)
        return {"width": self.first(pixels), "height": self.second(pixels)}


def build() -> Brightness:
    return Brightness()


def untrained() -> Learns:
    return Learns()
