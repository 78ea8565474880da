"""The dihedral groups: turns and mirrors."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.domains.images.groups.plane import MIRROR, PlaneGroup, angle_label, angle_size, rotation_matrices


class Dihedral(PlaneGroup):
    """The dihedral group D_n, of order 2n and non-abelian from D3 on.

    Element ``(j, m)``, int64 ``(k, 2)``: the left-right mirror if m is 1, then the turn by ``360 j / n`` degrees.
    D1 is the left-right flip, D2 holds both flips and the half turn, D4 all symmetries of a square.
    """

    element_ndim = 1

    def __init__(self, n: int) -> None:
        self.n = n
        self.count = 2 * n
        self.name = f"D{n}"

    def identity(self) -> Tensor:
        """No mirror, no turn."""
        return torch.zeros(1, 2, dtype=torch.int64)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """``r^a s^m r^b s^l = r^(a + (-1)^m b) s^(m + l)``."""
        turn = g[..., 0] + (1 - 2 * g[..., 1]) * h[..., 0]
        return torch.stack([torch.remainder(turn, self.n), torch.remainder(g[..., 1] + h[..., 1], 2)], dim=-1)

    def inverse(self, g: Tensor) -> Tensor:
        """A mirror is its own inverse; a turn is undone by the turn back."""
        turn = torch.where(g[..., 1] == 1, g[..., 0], -g[..., 0])
        return torch.stack([torch.remainder(turn, self.n), g[..., 1]], dim=-1)

    def elements(self) -> Tensor:
        """All turns, then all mirrors."""
        return torch.cartesian_prod(torch.arange(2), torch.arange(self.n)).flip(-1).reshape(-1, 2)

    def generating(self) -> dict[str, Tensor]:
        """``turn``, by 360/n degrees, and ``flip``, the left-right mirror; D1 has no turn."""
        flip = {"flip": torch.tensor([[0, 1]])}
        return flip if self.n == 1 else {"turn": torch.tensor([[1, 0]]), **flip}

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Uniform: the Haar measure of a finite group."""
        index = torch.randint(2 * self.n, (count,), generator=generator)
        return self.elements()[index]

    def angles_deg(self, g: Tensor) -> Tensor:
        """The angle of the turn, in degrees, float64."""
        return torch.remainder(g[..., 0], self.n).double() * 360.0 / self.n

    def mirrored(self, g: Tensor) -> Tensor:
        """Where m is 1."""
        return g[..., 1] == 1

    def size(self, g: Tensor) -> Tensor:
        """The angle of the turn from 0, in degrees; a mirror counts as half a turn, about its own axis."""
        return torch.where(g[..., 1] == 1, 180.0, angle_size(self.angles_deg(g)))

    def canonical(self, g: Tensor) -> Tensor:
        """``(j mod n, m mod 2)``."""
        return torch.remainder(g, torch.tensor([self.n, 2])).double()

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """``angle_deg`` and ``mirror`` (0 or 1)."""
        angles, mirrors = self.angles_deg(g).tolist(), g[..., 1].tolist()
        return [{"angle_deg": a, "mirror": float(m)} for a, m in zip(angles, mirrors, strict=True)]

    def labels(self, g: Tensor) -> list[str]:
        """``90°``, ``flip``, ``flip+90°``; the flip that ends upside down is the top-bottom flip, ``flip+180°``."""
        return [
            ("flip" if a == 0 else f"flip+{angle_label(a)}") if m else angle_label(a)
            for a, m in zip(self.angles_deg(g).tolist(), g[..., 1].tolist(), strict=True)
        ]

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """The sign of the mirror, the alternating characters of even n, and the 2-D ones (the first 4)."""
        sign = (1.0 - 2.0 * g[..., 1].double())[:, None, None]
        found = {"sign": sign}
        if self.n % 2 == 0:
            alternating = (1.0 - 2.0 * torch.remainder(g[..., 0], 2).double())[:, None, None]
            found |= {"alternating": alternating, "alternating sign": alternating * sign}
        eye = torch.eye(2, dtype=torch.float64)
        mirrors = torch.where((g[..., 1] == 1)[..., None, None], MIRROR, eye)
        for m in range(1, min((self.n + 1) // 2, 5)):
            found[f"m={m}"] = rotation_matrices(m * self.angles_deg(g)) @ mirrors
        return found
