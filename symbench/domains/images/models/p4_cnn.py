"""A network equivariant under quarter turns: Cohen & Welling, "Group Equivariant Convolutional Networks", 2016."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

TURNS = 4


class P4Conv(nn.Module):
    """A convolution over the group p4 of translations and quarter turns.

    Feature maps are ``(n, channels * r, h, w)`` with ``r`` orientations, 1 for an image and 4 afterwards. Turning
    the input by 90 degrees turns the output's maps and moves every orientation to the next. With stride 2 this
    holds on odd sizes only: on even ones the sampling grid is not symmetric about the centre.
    """

    def __init__(self, channels: int, width: int, *, orientations: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(width, channels, orientations, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def turned_weight(self) -> Tensor:
        """The filters at all four orientations, ``(width * 4, channels * r, 3, 3)``."""
        turned = [
            torch.rot90(self.weight, turn, dims=(-2, -1)).roll(turn % self.weight.shape[2], dims=2)
            for turn in range(TURNS)
        ]
        return torch.stack(turned, dim=1).flatten(0, 1).flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels * r, h, w)`` to ``(n, width * 4, h', w')``."""
        return conv2d(x, self.turned_weight(), stride=self.stride, padding=1)


class P4Norm(nn.Module):
    """Batch normalisation with one mean and variance for all four orientations of a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(width)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, width * 4, h, w)``, shape kept."""
        out: Tensor = self.norm(x.unflatten(1, (-1, TURNS)))
        return out.flatten(1, 2)


class P4Cnn(nn.Module):
    """A lifting convolution, three group convolutions, the mean over places and the maximum over orientations.

    The logits do not change under quarter turns of an image whose side stays odd under the two strides of 2
    (33, 17, 9), up to rounding.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_block(shape[0], width, orientations=1, stride=1),
            *_block(width, 2 * width, orientations=TURNS, stride=2),
            *_block(2 * width, 2 * width, orientations=TURNS, stride=2),
            *_block(2 * width, 2 * width, orientations=TURNS, stride=1),
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        maps = self.features(x).unflatten(1, (-1, TURNS))  # (n, width, 4, h, w)
        out: Tensor = self.head(maps.mean(dim=(-2, -1)).amax(dim=2))
        return out


def _block(channels: int, width: int, *, orientations: int, stride: int) -> list[nn.Module]:
    return [P4Conv(channels, width, orientations=orientations, stride=stride), P4Norm(width), nn.ReLU()]
