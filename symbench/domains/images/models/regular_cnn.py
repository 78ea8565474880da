"""A network equivariant under the cyclic group C_N: Weiler, Hamprecht & Storath, "Learning Steerable Filters for
Rotation Equivariant CNNs", 2018; Weiler & Cesa, "General E(2)-Equivariant Steerable CNNs", 2019.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from symbench.domains.images.models.harmonics import Halving, buffer, turned


class RegularConv(nn.Module):
    """A convolution over translations and the turns by ``360 / order`` degrees.

    Feature maps are ``(n, channels, r, h, w)`` with ``r`` orientations, 1 for an image and ``order`` afterwards. A
    turn of the input turns the output's maps and moves every orientation on: exactly for quarter turns, where
    ``order`` has them, and up to the sampling of the filters for the other turns.
    """

    basis: Tensor

    def __init__(self, channels: int, width: int, *, order: int, orientations: int, kernel: int) -> None:
        super().__init__()
        self.order = order
        basis = turned(kernel, order)  # (order, functions, kernel, kernel)
        self.register_buffer("basis", buffer(basis), persistent=False)
        self.weight = nn.Parameter(torch.empty(width, channels, orientations, basis.shape[1]))
        nn.init.normal_(self.weight, std=math.sqrt(2 / self.weight[0].numel()))

    def filters(self) -> Tensor:
        """The filters at all orientations, ``(width * order, channels * r, kernel, kernel)``."""
        width, channels, orientations, functions = self.weight.shape
        rolled = torch.stack([self.weight.roll(turn, dims=2) for turn in range(self.order)])
        made = rolled.view(self.order, -1, functions) @ self.basis.flatten(2)
        made = made.view(self.order, width, channels * orientations, *self.basis.shape[2:])
        return made.transpose(0, 1).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, r, h, w)`` to ``(n, width, order, h, w)``."""
        maps = conv2d(x.flatten(1, 2), self.filters(), padding=self.basis.shape[-1] // 2)
        return maps.unflatten(1, (-1, self.order))


class RegularCnn(nn.Module):
    """A lifting convolution, three group convolutions, the maximum over orientations and the mean over places.

    The logits do not change under those quarter turns that C_N has (all of them where 4 divides N, the half turn
    where 2 does), up to rounding, on square images of any side; other turns by ``360 / N`` degrees are approximate,
    and the better the smoother the images are.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, order: int, kernel: int) -> None:
        super().__init__()

        def block(channels: int, width: int, orientations: int) -> list[nn.Module]:
            convolution = RegularConv(channels, width, order=order, orientations=orientations, kernel=kernel)
            # The three axes behind a channel, orientations among them, share its mean and variance.
            return [convolution, nn.BatchNorm3d(width), nn.ReLU()]

        self.features = nn.Sequential(
            *block(shape[0], width, 1),
            Halving(),
            *block(width, 2 * width, order),
            Halving(),
            *block(2 * width, 2 * width, order),
            *block(2 * width, 2 * width, order),
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        maps = self.features(x[:, :, None])  # (n, width, order, h, w)
        out: Tensor = self.head(maps.amax(dim=2).mean(dim=(-2, -1)))
        return out
