"""All rotations of the plane."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.domains.images.groups.plane import PlaneGroup, angle_label, angle_size, rotation_matrices


class SO2(PlaneGroup):
    """The rotations of the plane. An element is its angle in degrees, float64 ``(k,)``.

    Degrees rather than radians, so that a quarter turn is exactly 90 and is recognised as a permutation.
    """

    element_ndim = 0
    name = "SO2"
    count = None

    def identity(self) -> Tensor:
        """0 degrees."""
        return torch.zeros(1, dtype=torch.float64)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """Angles add up."""
        return torch.remainder(g + h, 360.0)

    def inverse(self, g: Tensor) -> Tensor:
        """The turn back."""
        return torch.remainder(-g, 360.0)

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform on the circle: the Haar measure."""
        return 360.0 * torch.rand(count, dtype=torch.float64, generator=generator)

    def design(self, count: int) -> tuple[Tensor, Tensor]:
        """``count + 1`` equally spaced angles from 0 on: exact for every frequency up to ``count``.

        ``count = 23`` gives steps of 15 degrees; an even count meets no quarter turn but 0.
        """
        total = count + 1
        angles = torch.arange(total, dtype=torch.float64) * 360.0 / total
        return angles, torch.full((total,), 1 / total, dtype=torch.float64)

    def subgroups(self) -> list[Tensor]:
        """Quarter turns and the half turn, which only permute pixels."""
        return [torch.arange(0, 360, step, dtype=torch.float64) for step in (90, 180)]

    def angles_deg(self, g: Tensor) -> Tensor:
        """The element itself."""
        return g

    def size(self, g: Tensor) -> Tensor:
        """The angle from 0, in degrees."""
        return angle_size(g)

    def canonical(self, g: Tensor) -> Tensor:
        """The angle in [0, 360), to 1e-9 of a degree."""
        return torch.remainder(torch.round(torch.remainder(g, 360.0), decimals=9), 360.0)[:, None]

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``angle_deg``."""
        return [{"angle_deg": angle} for angle in g.tolist()]

    def labels(self, g: Tensor) -> list[str]:
        """The angle."""
        return [angle_label(angle) for angle in g.tolist()]

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Rotations by m times the angle, m from 1 to 4."""
        return {f"m={m}": rotation_matrices(m * g) for m in range(1, 5)}
