"""A model that differentiates while it runs, and takes for granted that whoever calls it records gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Forces(nn.Module):
    """Minus the gradient of an energy, as networks of forces do, summed over the left and the right half."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.conv, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 1)

    def forward(self, images: Tensor) -> Tensor:
        images.requires_grad_()
        energy = self.head(self.conv(images).tanh().mean((2, 3))).sum()
        (slope,) = torch.autograd.grad(energy, images)
        return -torch.stack([slope[..., :8].sum((1, 2, 3)), slope[..., 8:].sum((1, 2, 3))], 1)


def build() -> Forces:
    return Forces()
