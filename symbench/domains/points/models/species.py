"""What a network starts from: the same of each point, or of each atom by its species."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symbench.base.errors import ModelError, Problem
from symbench.domains.points.models.base import Cloud, Shapes
from symbench.domains.points.models.neighbours import is_known

MOST = 118
"""The largest atomic number that anything has."""


class Same(nn.Module):
    """Values that all points start with."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.randn(width))

    def forward(self, cloud: Cloud) -> Tensor:
        """``(n, points, width)``."""
        return self.values.expand(*cloud.positions.shape[:2], -1)


class Species(nn.Module):
    """Values of each atomic number, from 0, which padding has, to 118."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.randn(MOST + 1, width))

    def forward(self, cloud: Cloud) -> Tensor:
        """``(n, points, width)``.

        Raises:
            ModelError: a number that is no element's.
        """
        species = cloud.species
        if species is None:
            raise ModelError(Problem("species", "got none", "the species that the model was made for"))
        if is_known(species) and not bool(((species >= 0) & (species <= MOST)).all()):
            got = f"got {int(species.amin())} to {int(species.amax())}"
            raise ModelError(Problem("species", got, f"atomic numbers from 1 to {MOST}, and 0 in padding"))
        return self.values[species]


def starts(width: int, shapes: Shapes) -> nn.Module:
    """What points start with: by their species where there is such a leaf."""
    return Species(width) if "species" in shapes else Same(width)
