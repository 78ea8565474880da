"""Rotations of the plane within limits."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.domains.images.groups.plane import angle_label
from symbench.domains.images.groups.rigid import wrapped
from symbench.domains.images.groups.rotation import SO2


class Tilts(SO2):
    """Rotations by at most ``reach_deg`` degrees either way. An element is its angle in degrees, float64 ``(k,)``.

    The group is all of SO(2), and two tilts may add up to a longer one; ``reach_deg`` only says which of its elements
    are drawn and measured: digits are written at a slant, and seldom upside down.

    Args:
        reach_deg: the longest turn, below 180.
    """

    name = "tilts"

    def __init__(self, reach_deg: float) -> None:
        self.reach_deg = reach_deg
        self.law = f"uniform on turns of at most {reach_deg:g}° either way"

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform on the window, which is no group and has no Haar measure."""
        return self.reach_deg * (2 * torch.rand(count, dtype=torch.float64, generator=generator) - 1)

    def design(self, count: int) -> tuple[Tensor, Tensor]:
        """Equal steps from ``-reach_deg`` to ``reach_deg``, the identity first; trapezoid weights.

        Raises:
            ValueError: an odd count, which cannot be split evenly around the identity.
        """
        if count % 2:
            raise ValueError("an even number: half of them turn to the left, half to the right")
        half = torch.arange(1, count // 2 + 1, dtype=torch.float64) * (2 * self.reach_deg / count)
        weights = torch.full((count + 1,), 1 / count, dtype=torch.float64)
        weights[[count // 2, count]] = 0.5 / count  # the two ends
        return torch.cat([self.identity(), half, -half]), weights

    def subgroups(self) -> list[Tensor]:
        """None: quarter turns are of the group, and not of what is asked about."""
        return []

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``angle_deg``, in (-180, 180]."""
        return [{"angle_deg": angle} for angle in wrapped(g).tolist()]

    def labels(self, g: Tensor) -> list[str]:
        """The angle, with its sign."""
        return [angle_label(angle) for angle in wrapped(torch.round(g, decimals=9)).tolist()]

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """None: their mean over a window is not zero."""
        del g
        return {}
