"""Tells shades apart, and names its outputs in the order in which it learnt them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Shade(nn.Module):
    classes = ("mid", "dark", "bright")

    def forward(self, images: Tensor) -> Tensor:
        level = images.mean((1, 2, 3))
        return -20 * torch.stack([(level - each).abs() for each in (0.5, 0.1, 0.9)], 1)


def build() -> Shade:
    return Shade()
