"""SU(2): rotations of spin, of which a full turn is not the identity."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.domains.points.groups import designs, quaternions
from symbench.domains.points.groups.rotations import DEGREES
from symbench.domains.points.groups.space import TURNS, SpaceGroup, axis
from symbench.domains.points.harmonics import wigner


class SU2(SpaceGroup):
    """Unit quaternions ``(w, x, y, z)``, float64 ``(k, 4)``: ``w - i (x X + y Y + z Z)`` with Pauli's X, Y and Z.

    Vectors see the rotation by twice the angle, which q and -q have in common.
    """

    name = "SU2"
    element_ndim = 1
    count = None
    size_unit = "degrees"
    algebra = TURNS

    def identity(self) -> Tensor:
        """``(1, 0, 0, 0)``."""
        return torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """Hamilton's product."""
        return quaternions.product(g, h)

    def inverse(self, g: Tensor) -> Tensor:
        """The conjugate."""
        return quaternions.conjugate(g)

    def linear(self, g: Tensor) -> Tensor:
        """The rotation, ``(*batch, 3, 3)``."""
        return quaternions.matrices(g)

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Haar: normal numbers, normalised."""
        return quaternions.drawn(count, generator=generator)

    def design(self, count: int) -> tuple[Tensor, Tensor]:
        """A super-Fibonacci spiral of ``count + 1`` quaternions of one weight."""
        total = count + 1
        return designs.spread(total), torch.full((total,), 1 / total, dtype=torch.float64)

    def size(self, g: Tensor) -> Tensor:
        """How far one has turned, in degrees, in [0, 360]: -1 is a full turn."""
        return torch.rad2deg(2 * torch.atan2(torch.linalg.vector_norm(g[..., 1:], dim=-1), g[..., 0]))

    def canonical(self, g: Tensor) -> Tensor:
        """The quaternion, to 1e-9."""
        return torch.round(g, decimals=9) + 0.0

    def exponential(self, x: Tensor) -> Tensor:
        """Turns by ``|x|`` radians about x."""
        return quaternions.exponential(x)

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``angle_deg``, in [0, 360], and the axis as ``axis_x``, ``axis_y`` and ``axis_z``."""
        rows = torch.cat([self.size(g)[:, None], self._axes(g)], dim=1).tolist()
        return [dict(zip(("angle_deg", "axis_x", "axis_y", "axis_z"), row, strict=True)) for row in rows]

    def labels(self, g: Tensor) -> list[str]:
        """``270° about (0, 0, 1)``; the ``identity``, and a ``full turn``."""
        return [_label(**row) for row in self.parameters(g)]

    def _axes(self, g: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(g[:, 1:], dim=1, keepdim=True)
        return torch.where(length > 1e-12, g[:, 1:] / length.clamp(min=1e-12), axis(self.linear(g)))

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """Spin 1/2, complex, and the spins 1 to 4, D^1 to D^4."""
        found = {"j=1/2": pauli(g)}
        return found | {f"j={degree}": wigner(degree, self.linear(g), "standard") for degree in DEGREES}


def pauli(q: Tensor) -> Tensor:
    """The matrices ``w - i (x X + y Y + z Z)``, complex128 ``(..., 2, 2)``."""
    w, x, y, z = q.unbind(-1)
    rows = [torch.complex(w, -z), torch.complex(-y, -x), torch.complex(y, -x), torch.complex(w, z)]
    return torch.stack(rows, dim=-1).unflatten(-1, (2, 2))


def _label(angle_deg: float, axis_x: float, axis_y: float, axis_z: float) -> str:
    if angle_deg < 1e-9 or angle_deg > 360 - 1e-9:
        return "identity" if angle_deg < 1 else "full turn"
    about = ", ".join(f"{round(each, 4) + 0.0:g}" for each in (axis_x, axis_y, axis_z))
    return f"{angle_deg:.6g}° about ({about})"
