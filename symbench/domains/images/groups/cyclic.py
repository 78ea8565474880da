"""The cyclic groups."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.domains.images.groups.plane import PlaneGroup, angle_label, angle_size


class Cyclic(PlaneGroup):
    """The cyclic group C_n. Element ``j`` is the turn by ``360 j / n`` degrees; int64 ``(k,)``."""

    element_ndim = 0

    def __init__(self, n: int) -> None:
        self.n = self.count = n
        self.name = f"C{n}"

    def identity(self) -> Tensor:
        """The turn by 0."""
        return torch.zeros(1, dtype=torch.int64)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """Turns add up."""
        return torch.remainder(g + h, self.n)

    def inverse(self, g: Tensor) -> Tensor:
        """The turn back."""
        return torch.remainder(-g, self.n)

    def elements(self) -> Tensor:
        """``0 ... n - 1``."""
        return torch.arange(self.n)

    def generating(self) -> dict[str, Tensor]:
        """``turn``, by 360/n degrees."""
        return {"turn": torch.ones(1, dtype=torch.int64)}

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform: the Haar measure of a finite group."""
        return torch.randint(self.n, (count,), generator=generator)

    def angles_deg(self, g: Tensor) -> Tensor:
        """The angle of each element in degrees, float64."""
        return torch.remainder(g, self.n).double() * 360.0 / self.n

    def size(self, g: Tensor) -> Tensor:
        """The angle from 0, in degrees."""
        return angle_size(self.angles_deg(g))

    def canonical(self, g: Tensor) -> Tensor:
        """``j mod n``."""
        return torch.remainder(g, self.n).double()[:, None]

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``angle_deg``."""
        return [{"angle_deg": angle} for angle in self.angles_deg(g).tolist()]

    def labels(self, g: Tensor) -> list[str]:
        """The angle."""
        return [angle_label(angle) for angle in self.angles_deg(g).tolist()]

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """All the characters ``exp(2 pi i j m / n)``, m from 1 to n - 1 (the first 8 of them)."""
        angle = torch.deg2rad(self.angles_deg(g))
        return {f"m={m}": torch.exp(1j * m * angle)[:, None, None] for m in range(1, min(self.n, 9))}
