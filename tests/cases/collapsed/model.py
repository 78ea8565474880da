"""Models of every standing: collapsed, guessing, right until it is turned, and right whichever way it is turned."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def scores(evidence: Tensor) -> Tensor:
    return torch.stack([-evidence, evidence], 1)


class Constant(nn.Module):
    """Class 1 whatever it is shown, and never with the same score."""

    def forward(self, images: Tensor) -> Tensor:
        return scores(2 - images[:, 0, 2, 3])


class Guesses(nn.Module):
    """Goes by a pixel of noise."""

    def forward(self, images: Tensor) -> Tensor:
        return scores(80 * (images[:, 0, 1, 2] - 0.025))


class Upright(nn.Module):
    """Looks where the bar stands."""

    def forward(self, images: Tensor) -> Tensor:
        middle = images.shape[-1] // 2
        return scores(images[:, 0, :, middle].sum(1) - 4.5)


class Total(nn.Module):
    """The sum of all pixels, and a little of a symmetric filter with a stride of two: exact on odd sides only."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        kernel = torch.rand(1, 1, 3, 3)
        self.kernel = nn.Parameter(torch.stack([kernel.rot90(k, (2, 3)) for k in range(4)]).mean(0))

    def forward(self, images: Tensor) -> Tensor:
        maps = nn.functional.conv2d(images, self.kernel, stride=2, padding=1)
        bright = images.sum((1, 2, 3)) - 4.2 - 0.025 * images[0].numel()
        return scores(bright + 0.01 * maps.square().mean((1, 2, 3)))
