"""Two small networks; one uses a layer's weights twice."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Net(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.head = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.conv(images).relu().amax((2, 3)))
        return out


class Tied(Net):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.inner, self.outer = nn.Linear(8, 8), nn.Linear(8, 8)
        self.outer.weight = self.inner.weight

    def forward(self, images: Tensor) -> Tensor:
        found = self.conv(images).relu().amax((2, 3))
        out: Tensor = self.head(self.outer(self.inner(found).relu()))
        return out


def build(seed: int = 3) -> Net:
    return Net(seed)


def tied(seed: int = 3) -> Tied:
    return Tied(seed)
