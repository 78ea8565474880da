"""SO(3) as a suite's own code brings it, with what it does to the vectors and points of space."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symbench.algebra.actions import ActionRow
from symbench.algebra.actions.base import Action, Kind, Move, times
from symbench.algebra.groups.base import Group


class SO3(Group):
    """Rotations of space as 3 x 3 matrices, float64 ``(k, 3, 3)``."""

    name = "SO3"
    family = "space"
    alone = ("Axis", "Index")
    element_ndim = 2
    count = None
    size_unit = "degrees"

    def identity(self) -> Tensor:
        return torch.eye(3, dtype=torch.float64)[None]

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return g @ h

    def inverse(self, g: Tensor) -> Tensor:
        return g.mT

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        q, r = torch.linalg.qr(torch.randn(count, 3, 3, dtype=torch.float64, generator=generator))
        q = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None]
        return q * torch.linalg.det(q)[:, None, None]

    def size(self, g: Tensor) -> Tensor:
        trace = g.diagonal(dim1=-2, dim2=-1).sum(-1)
        return torch.rad2deg(torch.arccos(((trace - 1) / 2).clamp(-1, 1)))

    def canonical(self, g: Tensor) -> Tensor:
        return (g.flatten(1) * 1e9).round() / 1e9 + 0.0

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        return [{"angle_deg": angle} for angle in self.size(g).tolist()]

    def labels(self, g: Tensor) -> list[str]:
        return [f"{angle:.6f}° about some axis" for angle in self.size(g).tolist()]

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        return {"l=1": g}


class O3(SO3):
    """With inversion: two pieces, whose estimates stand apart."""

    name = "O3"

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        sign = torch.randint(2, (count, 1, 1), generator=generator) * 2.0 - 1.0
        return super().sample(count, generator=generator) * sign

    def size(self, g: Tensor) -> Tensor:
        det = torch.linalg.det(g)
        return super().size(g * det[:, None, None]) + torch.where(det < 0, 180.0, 0.0)

    def strata(self, g: Tensor) -> list[str] | None:
        return ["proper" if d > 0 else "improper" for d in torch.linalg.det(g).tolist()]


class Rotate(Action):
    """``x -> R x`` in the last axis."""

    moves_values = True

    def __init__(self, group: SO3, options: Any) -> None:
        self.group = group

    def check(self, shape: tuple[int, ...]) -> str | None:
        return None if shape and shape[-1] == 3 else f"a vector of space has 3 components, got {shape}"

    def kinds(self, g: Tensor) -> list[Kind]:
        identity = (g == self.group.identity()).flatten(1).all(1)
        return ["permutation" if each else "exact" for each in identity.tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        return lambda x: times(g.to(x), x)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        return lambda x: self.act(g, x)


SO3.actions = O3.actions = tuple(  # type: ignore[attr-defined]
    ActionRow(f"{__name__}:Rotate", f"rotate a {kind}", family="space", kind=kind) for kind in ("Vector", "Point")
)
