"""Integer translations of the plane."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group


class Translations(Group):
    """Shifts by whole pixels, int64 ``(k, 2)``: ``(dy, dx)``, down and to the right as displayed.

    The group is Z^2; ``reach`` and ``back`` only say which of its elements are enumerated and drawn.

    Args:
        reach: the longest shift down and to the right.
        back: the longest shift up and to the left; None is as far as ``reach``.
    """

    element_ndim = 1
    size_unit = "px"

    def __init__(self, reach: int, back: int | None = None) -> None:
        self.reach = reach
        self.back = reach if back is None else back
        self.count = (self.back + reach + 1) ** 2
        self.name = "translations"
        span = f"of at most {reach}" if self.back == reach else f"from {-self.back} to {reach}"
        self.law = f"uniform on the shifts {span} px along either axis"

    def identity(self) -> Tensor:
        """No shift."""
        return torch.zeros(1, 2, dtype=torch.int64)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """Shifts add up."""
        return g + h

    def inverse(self, g: Tensor) -> Tensor:
        """The shift back."""
        return -g

    def elements(self) -> Tensor:
        """The box of shifts, the identity first, then row by row."""
        side = torch.arange(-self.back, self.reach + 1)
        box = torch.cartesian_prod(side, side)
        return torch.cat([self.identity(), box[(box != 0).any(dim=1)]])

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform on the box: Z^2 is not compact and has no Haar probability."""
        return torch.randint(-self.back, self.reach + 1, (count, 2), generator=generator)

    def neighbours(self, *, generator: torch.Generator) -> Tensor:
        """A shift, and the one by a pixel more down and to the right; both within reach."""
        first = Translations(self.reach - 1, self.back).sample(1, generator=generator)
        return torch.cat([first, first + 1])

    def size(self, g: Tensor) -> Tensor:
        """The length of the shift in pixels."""
        return torch.linalg.vector_norm(g.double(), dim=-1)

    def canonical(self, g: Tensor) -> Tensor:
        """The shift itself."""
        return g.double()

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``dy_px`` and ``dx_px``."""
        return [{"dy_px": float(dy), "dx_px": float(dx)} for dy, dx in g.tolist()]

    def labels(self, g: Tensor) -> list[str]:
        """``(+1,-2)px``: down, right."""
        return [f"({dy:+d},{dx:+d})px" if dy or dx else "(0,0)px" for dy, dx in g.tolist()]
