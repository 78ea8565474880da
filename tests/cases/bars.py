"""What the cases measure on: dark squares with a bright bar, lying (label 0) or standing (label 1)."""

from __future__ import annotations

import torch
from torch import Tensor


class Bars:
    """``count`` images of ``side`` pixels and their labels, the same ones every time."""

    def __init__(self, count: int = 40, side: int = 15) -> None:
        noise = torch.Generator().manual_seed(0)
        self.images = 0.2 * torch.rand(count, 1, side, side, generator=noise)
        self.labels = [index % 2 for index in range(count)]
        middle, ends = side // 2, slice(side // 2 - 3, side // 2 + 4)
        self.images[0::2, 0, middle, ends] += 0.7
        self.images[1::2, 0, ends, middle] += 0.7

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.labels[index]


def load() -> Bars:
    return Bars()
