"""One function, written in place and on copies."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Copies(nn.Module):
    """Normalises what it is given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.head = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8, 2)

    def normalised(self, images: Tensor) -> Tensor:
        return images.sub(0.5).div(0.5)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.conv(self.normalised(images)).relu().amax((2, 3)))
        return out


class InPlace(Copies):
    """Normalises it where it lies."""

    def normalised(self, images: Tensor) -> Tensor:
        return images.sub_(0.5).div_(0.5)


class Sometimes(Copies):
    """Normalises it where it lies, but only images whose middle is bright: what it does depends on the data."""

    def normalised(self, images: Tensor) -> Tensor:
        if images[..., 7, 7].mean() > 0.7:
            return images.sub_(0.5).div_(0.5)
        return images.sub(0.5).div(0.5)


class Reuses(Copies):
    """Returns the same memory every time, as recorded CUDA graphs do."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = torch.zeros(0)

    def forward(self, images: Tensor) -> Tensor:
        out = super().forward(images)
        if self.kept.shape != out.shape or self.kept.dtype != out.dtype:
            self.kept = torch.empty_like(out)
        return self.kept.copy_(out)
