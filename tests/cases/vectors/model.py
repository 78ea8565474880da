"""Models of vectors and of maps: each is off in a way that is known."""

from __future__ import annotations

import torch
from data import places
from torch import Tensor, nn


class Off(nn.Module):
    """The right vector, and a constant one on top of it, which does not turn."""

    def __init__(self, x: float, y: float) -> None:
        super().__init__()
        self.off = nn.Buffer(torch.tensor([x, y], dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return places(images) + self.off


class Linear(nn.Module):
    """Any linear map of the pixels to a vector."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(81, 2, dtype=torch.float64) / 81)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).double() @ self.weight


class Ramp(nn.Module):
    """Maps: the image, brighter to the right."""

    def forward(self, images: Tensor) -> Tensor:
        return images + torch.linspace(-1, 1, images.shape[-1])


class Yes(nn.Module):
    """One logit, for the right half."""

    def forward(self, images: Tensor) -> Tensor:
        return 40 * places(images)[:, 0] + 0.5


def yes() -> Yes:
    return Yes()


def off(x: float = 0.3, y: float = -0.4) -> Off:
    return Off(x, y)


def linear() -> Linear:
    return Linear()


def ramp() -> Ramp:
    return Ramp()
