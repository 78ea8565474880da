"""Rotations about the z axis, as of shapes that stand upright."""

from __future__ import annotations

from types import MappingProxyType

import torch
from torch import Tensor

from symbench.domains.points.groups.space import EYE, Orthogonal

MOST = 4
"""The highest frequency of the irreducible representations that samples and designs are tested by."""


class AboutZ(Orthogonal):
    """The rotations of space that leave the z axis as it is: SO(2), as matrices of space."""

    name = "SO2z"
    count = None
    algebra = MappingProxyType({"rotation z": "rad"})

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Haar: a uniform angle."""
        return self.exponential(2 * torch.pi * torch.rand(count, 1, dtype=torch.float64, generator=generator))

    def design(self, count: int) -> tuple[Tensor, Tensor]:
        """``count + 1`` equal steps from the identity on: exact for every frequency up to ``count``."""
        total = count + 1
        steps = torch.arange(total, dtype=torch.float64)[:, None] * (2 * torch.pi / total)
        return self.exponential(steps), torch.full((total,), 1 / total, dtype=torch.float64)

    def exponential(self, x: Tensor) -> Tensor:
        """Turns by so many radians, ``(k, 1)``. Heights stay as they are, bit for bit."""
        cos, sin = x[:, 0].cos(), x[:, 0].sin()
        found = EYE.repeat(len(x), 1, 1)
        found[:, 0, 0], found[:, 0, 1], found[:, 1, 0], found[:, 1, 1] = cos, -sin, sin, cos
        return found

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Turns of the plane by m times the angle, m from 1 on: powers of the upper left block."""
        plane = g[..., :2, :2]
        return {f"m={m}": torch.linalg.matrix_power(plane, m) for m in range(1, MOST + 1)}
