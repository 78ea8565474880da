"""A model whose symmetry is its library's doing."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))  # or pip install --editable

from turning.pooling import over_turns


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.head = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8, 2)

    def scores(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(9 * self.conv(images).relu().mean((2, 3)))
        return out

    def forward(self, images: Tensor) -> Tensor:
        return over_turns(self.scores, images)


def build() -> Net:
    return Net()
