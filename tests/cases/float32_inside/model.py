"""Models with a constant in float32 that float64 does not go with."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Blurred(nn.Module):
    """A fixed blur, then a network of the mean of four turned kernels: exact under quarter turns at stride 1."""

    def __init__(self, stride: int = 1, lopsided: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stride, self.lopsided = stride, lopsided
        self.body, self.head = nn.Conv2d(1, 8, 3, padding=1, stride=stride), nn.Linear(8, 2)
        weight = self.body.weight.detach()
        self.body.weight = nn.Parameter(torch.stack([weight.rot90(k, (2, 3)) for k in range(4)]).mean(0))

    def blur(self, images: Tensor) -> Tensor:
        kernel = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
        kernel[0, 0] += self.lopsided
        return kernel[None, None]

    def forward(self, images: Tensor) -> Tensor:
        images = nn.functional.conv2d(images, self.blur(images), padding=1)
        out: Tensor = self.head(self.body(images).relu().mean((2, 3)))
        return out


class Converted(Blurred):
    """The same, with the constant in the precision of what it meets."""

    def blur(self, images: Tensor) -> Tensor:
        return super().blur(images).to(images.dtype)
