"""Dark squares with a standing bar: three in five are bright (label 1), the others dim (label 0)."""

from __future__ import annotations

import torch
from torch import Tensor


class Bars:
    """``count`` images of ``side`` pixels and their labels."""

    def __init__(self, count: int, side: int) -> None:
        noise = torch.Generator().manual_seed(0)
        self.images = 0.05 * torch.rand(count, 1, side, side, generator=noise)
        self.labels = [int(index % 5 < 3) for index in range(count)]
        middle = side // 2
        for image, label in zip(self.images, self.labels, strict=True):
            image[0, middle - 3 : middle + 4, middle] += 0.8 if label else 0.4

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.labels[index]


def load(side: int) -> Bars:
    return Bars(100, side)
