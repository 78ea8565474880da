"""Translations of the plane by fractions of a pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group
from symbench.base.errors import ConfigError, Problem


class PlaneTranslations(Group):
    """Shifts by any distance, float64 ``(k, 2)``: ``(dy, dx)`` in pixels, down and to the right as displayed.

    The group is R^2; ``reach`` says how far its measured elements go and ``step`` how finely.
    """

    element_ndim = 1
    size_unit = "px"

    def __init__(self, reach: float, step: float) -> None:
        self.steps = round(reach / step)
        if self.steps < 1 or abs(self.steps * step - reach) > 1e-9:
            raise ConfigError(Problem("R2", f"got reach {reach} and step {step}", "a reach of whole steps"))
        self.reach = reach
        self.step = step
        self.count = (2 * self.steps + 1) ** 2
        self.name = "R2"
        self.law = f"uniform on the shifts of at most {reach:g} px along either axis"

    def identity(self) -> Tensor:
        """No shift."""
        return torch.zeros(1, 2, dtype=torch.float64)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """Shifts add up."""
        return g + h

    def inverse(self, g: Tensor) -> Tensor:
        """The shift back."""
        return -g

    def elements(self) -> Tensor:
        """The grid of shifts, the identity first, then row by row."""
        side = torch.arange(-self.steps, self.steps + 1, dtype=torch.float64) * self.step
        grid = torch.cartesian_prod(side, side)
        return torch.cat([self.identity(), grid[(grid != 0).any(dim=1)]])

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform on the square: R^2 is not compact and has no Haar probability."""
        return (2 * torch.rand(count, 2, dtype=torch.float64, generator=generator) - 1) * self.reach

    def size(self, g: Tensor) -> Tensor:
        """The length of the shift in pixels."""
        return torch.linalg.vector_norm(g, dim=-1)

    def canonical(self, g: Tensor) -> Tensor:
        """The shift, to 1e-9 of a pixel."""
        return torch.round(g, decimals=9) + 0.0

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``dy_px`` and ``dx_px``."""
        return [{"dy_px": dy, "dx_px": dx} for dy, dx in g.tolist()]

    def labels(self, g: Tensor) -> list[str]:
        """``(+0.5,-0.25)px``: down, right."""
        return [f"({dy:+.6g},{dx:+.6g})px" if dy or dx else "(0,0)px" for dy, dx in g.tolist()]
