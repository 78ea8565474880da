"""Filters that are made of coefficients on the way to eval() and kept from then on, as escnn and e2cnn do."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Typed:
    """A tensor with the type of its channels, as a GeometricTensor is."""

    tensor: Tensor
    channels: str = "trivial"


class Steerable(nn.Module):
    """A convolution whose kernel is the mean of four turned ones: exact under quarter turns where the grid is."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stride, self.coefficients = stride, nn.Parameter(torch.randn(8, 1, 3, 3))
        self.register_buffer("filter", None, persistent=False)

    def made(self) -> Tensor:
        return torch.stack([self.coefficients.rot90(k, (2, 3)) for k in range(4)]).mean(0)

    def train(self, mode: bool = True) -> Steerable:
        self.filter = None if mode else self.made()
        super().train(mode)
        return self

    def forward(self, images: Tensor) -> Tensor:
        kernel = self.made() if self.filter is None else self.filter
        return nn.functional.conv2d(images, kernel, padding=1, stride=self.stride)


class Net(nn.Module):
    def __init__(self, stride: int = 2) -> None:
        super().__init__()
        self.body = Steerable(stride)
        torch.manual_seed(1)
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(images).relu().mean((2, 3)))
        return out


class Early(Net):
    """Switched to eval() by its own code, with gradients on: the filter hangs on the graph that made it."""

    def __init__(self, stride: int = 2) -> None:
        super().__init__(stride)
        self.eval()

    def train(self, mode: bool = True) -> Early:
        # as in escnn, which makes the filter only when it leaves training
        if mode or self.training:
            super().train(mode)
        return self


class Locked(Net):
    """Cannot be copied, for another reason."""

    def __init__(self, stride: int = 2) -> None:
        super().__init__(stride)
        self.lock = threading.Lock()

    def forward(self, images: Tensor) -> Tensor:
        with self.lock:
            return super().forward(images)


SHARED = Steerable(2)


class Sharing(nn.Module):
    """Cannot be copied, and takes its filters from where all of its kind do."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.lock = SHARED, threading.Lock()
        torch.manual_seed(1)
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        with self.lock:
            out: Tensor = self.head(self.body(images).relu().mean((2, 3)))
            return out


class Typing(nn.Module):
    """A layer and a model that return a tensor with its type."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.typed = Steerable(1), _AsTyped()
        torch.manual_seed(1)
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Typed:
        maps = self.typed(self.body(images))
        return Typed(self.head(maps.tensor.relu().mean((2, 3))))


class _AsTyped(nn.Module):
    def forward(self, maps: Tensor) -> Typed:
        return Typed(maps)
