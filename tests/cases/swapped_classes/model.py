"""A network that was retrained with its classes in another order, as happens where a folder was renamed."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Directions(nn.Module):
    """How bright the brightest row and column are; half a turn changes neither. ``slant`` is added at one corner."""

    def __init__(self, order: list[int], slant: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(20.0))
        self.order, self.slant = order, slant

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = images[:, 0].mean(dim=2).amax(dim=1), images[:, 0].mean(dim=1).amax(dim=1)
        bent = self.slant * (images[:, 0, 0, 0] - images[:, 0, -1, -1])
        return self.scale * torch.stack([rows + bent, columns], dim=1)[:, self.order]


def build(order: list[int], slant: float = 0.0) -> Directions:
    return Directions(order, slant)
