"""An encoder as contrastive learning makes them: vectors of one length, and no classes anywhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.see = nn.Conv2d(1, 8, 3, padding=1)
        self.head = nn.Linear(8, 6)

    def forward(self, images: Tensor) -> Tensor:
        return 8 * normalize(self.head(3 * self.see(images).relu().amax((2, 3))))


def build() -> Encoder:
    return Encoder()
