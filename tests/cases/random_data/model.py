"""A linear network that notes every image it is shown while it learns."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

SEEN = Path(__file__).with_name("seen.txt")


class Net(nn.Sequential):
    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            with SEEN.open("a") as log:
                log.writelines(hashlib.sha256(image.numpy().tobytes()).hexdigest() + "\n" for image in images)
        out: Tensor = super().forward(images)
        return out


def build() -> Net:
    torch.manual_seed(0)
    return Net(nn.Flatten(), nn.Linear(225, 2))
