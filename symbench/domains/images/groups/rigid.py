"""Rigid motions of the plane: rotations and shifts together."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.groups.base import Group
from symbench.domains.images.groups.plane import angle_label, angle_size, rotation_matrices


class SE2(Group):
    """Turns about the centre, each followed by a shift, float64 ``(k, 3)``: ``(angle_deg, dy_px, dx_px)``.

    Counter-clockwise as displayed, then down and to the right. The group is all of SE(2), which is not abelian: a
    turn carries along what was shifted before it. The options only say which elements are enumerated and drawn; the
    defaults are the 5 x 5 shifts x 31 angles of Engstrom et al., "Exploring the Landscape of Spatial Robustness",
    ICML 2019.

    Args:
        reach: the longest shift along either axis, in pixels.
        shifts: places of the grid along either axis, odd and 3 or more, from ``-reach`` to ``reach``.
        angle: the largest turn either way, in degrees; 180 is the whole circle.
        angles: angles of the grid, likewise, from ``-angle`` to ``angle``; on the whole circle, evenly spaced.
    """

    element_ndim = 1
    name = "SE2"
    size_unit = "degrees and px, root of summed squares"

    def __init__(self, reach: float, shifts: int, angle: float, angles: int) -> None:
        self.reach = reach
        self.shifts = shifts
        self.angle = angle
        self.angles = angles
        self.count = shifts**2 * angles
        self.law = f"uniform on turns of at most {angle:g}° and shifts of at most {reach:g} px along either axis"

    def identity(self) -> Tensor:
        """No turn, no shift."""
        return torch.zeros(1, 3, dtype=torch.float64)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """``(R_a, s) (R_b, t) = (R_a R_b, s + R_a t)``: the second shift is turned by the first angle."""
        angle = wrapped(g[..., :1] + h[..., :1])
        return torch.cat([angle, g[..., 1:] + turned(h[..., 1:], g[..., 0])], dim=-1)

    def inverse(self, g: Tensor) -> Tensor:
        """``(R_a, s)^-1 = (R_-a, -R_-a s)``."""
        return torch.cat([wrapped(-g[..., :1]), -turned(g[..., 1:], -g[..., 0])], dim=-1)

    def elements(self) -> Tensor:
        """The grid, the identity first, then angle by angle and row by row."""
        side = _symmetric(self.shifts) * (2 * self.reach / (self.shifts - 1))
        around = 360.0 / self.angles if self.angle == 180.0 else 2 * self.angle / (self.angles - 1)
        grid = torch.cartesian_prod(_symmetric(self.angles) * around, side, side)
        return torch.cat([self.identity(), grid[(grid != 0).any(dim=1)]])

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform on the box: SE(2) is not compact and has no Haar probability."""
        uniform = 2 * torch.rand(count, 3, dtype=torch.float64, generator=generator) - 1
        return uniform * torch.tensor([self.angle, self.reach, self.reach], dtype=torch.float64)

    def size(self, g: Tensor) -> Tensor:
        """The root of the summed squares of the angle from 0 in degrees and the length of the shift in pixels.

        A degree counts as much as a pixel: at 57 px from the centre, that is how far it moves things.
        """
        shift = torch.linalg.vector_norm(g[..., 1:], dim=-1)
        return torch.hypot(angle_size(g[..., 0]), shift)

    def canonical(self, g: Tensor) -> Tensor:
        """``(angle in (-180, 180], down, right)``, to 1e-9 of a degree and of a pixel."""
        rounded = torch.round(g, decimals=9)
        return torch.cat([wrapped(rounded[..., :1]), rounded[..., 1:]], dim=-1) + 0.0

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``angle_deg``, in (-180, 180], ``dy_px`` and ``dx_px``."""
        rows = torch.cat([wrapped(g[..., :1]), g[..., 1:]], dim=-1).tolist()
        return [{"angle_deg": angle, "dy_px": down, "dx_px": right} for angle, down, right in rows]

    def labels(self, g: Tensor) -> list[str]:
        """``-10°(+1.5,-3)px``: angle, down, right; the identity is ``0°(0,0)px``."""
        return [
            angle_label(angle) + (f"({down:+.6g},{right:+.6g})px" if down or right else "(0,0)px")
            for angle, down, right in self.canonical(g).tolist()
        ]


def turned(shift: Tensor, angle_deg: Tensor) -> Tensor:
    """Shifts ``(*batch, 2)`` as (down, right), turned counter-clockwise as displayed by ``(*batch,)`` degrees."""
    down, right = shift[..., 0], shift[..., 1]
    matrices = rotation_matrices(angle_deg)  # x to the right, y up
    cos, sin = matrices[..., 0, 0], matrices[..., 1, 0]
    return torch.stack([cos * down - sin * right, cos * right + sin * down], dim=-1)


def _symmetric(count: int) -> Tensor:
    """``count`` whole numbers about 0."""
    return torch.arange(count, dtype=torch.float64) - count // 2


def wrapped(angle_deg: Tensor) -> Tensor:
    """The same angles in (-180, 180]; those already there bit for bit."""
    inside = (angle_deg > -180.0) & (angle_deg <= 180.0)
    return torch.where(inside, angle_deg, 180.0 - torch.remainder(180.0 - angle_deg, 360.0))
