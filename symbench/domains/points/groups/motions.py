"""Rigid motions of space: rotations, and reflections, each followed by a translation."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from symbench.domains.points.groups.rotations import O3, SO3, Trivial, strata_of
from symbench.domains.points.groups.space import EYE, TURNS, SpaceGroup, rotations_of, turn_labels

SHIFTS = MappingProxyType({f"translation {name}": "length" for name in "xyz"})


class Motions(SpaceGroup):
    """Motions ``x -> R x + t`` as ``(R | t)``, float64 ``(k, 3, 4)``.

    The group is all of it; ``reach`` only says which elements are drawn. Lengths are in the data's own unit.

    Args:
        reach: the longest translation.
    """

    element_ndim = 2
    count = None
    turning: SO3

    def __init__(self, reach: float) -> None:
        self.reach = reach
        self.law = f"{self.turning.law} for turns, and translations uniform in a ball of radius {reach:g}"

    def identity(self) -> Tensor:
        """No turn, no translation."""
        return self._joined(EYE[None], torch.zeros(1, 3, dtype=torch.float64))

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """``(R | s) (Q | t) = (R Q | R t + s)``."""
        linear, shift = g[..., :3], g[..., 3]
        return self._joined(linear @ h[..., :3], (linear @ h[..., 3:])[..., 0] + shift)

    def inverse(self, g: Tensor) -> Tensor:
        """``(R^T | -R^T t)``."""
        back = g[..., :3].mT
        return self._joined(back, -(back @ g[..., 3:])[..., 0])

    def subgroups(self) -> list[Tensor]:
        """Those of the turns, without translations."""
        return [self._joined(some, torch.zeros(len(some), 3).double()) for some in self.turning.subgroups()]

    def confined(self, g: Tensor, some: Tensor) -> Tensor:
        """The turns alone: no subgroup translates."""
        del some
        return self._joined(g[..., :3], torch.zeros_like(g[..., 3]))

    def linear(self, g: Tensor) -> Tensor:
        """R."""
        return g[..., :3]

    def shift(self, g: Tensor) -> Tensor:
        """t."""
        return g[..., 3]

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """From :attr:`law`: translations have no Haar probability."""
        direction = torch.randn(count, 3, dtype=torch.float64, generator=generator)
        direction = torch.nn.functional.normalize(direction, dim=1)
        distance = self.reach * torch.rand(count, 1, dtype=torch.float64, generator=generator) ** (1 / 3)
        return self._joined(self.turning.sample(count, generator=generator), distance * direction)

    def size(self, g: Tensor) -> Tensor:
        """The root of the summed squares of the angle in degrees and the distance, of which the reach counts 180."""
        return torch.hypot(self.turning.size(self.linear(g)), self.distance(g) * (180 / self.reach))

    def distance(self, g: Tensor) -> Tensor:
        """How far each element moves the origin, ``(*batch,)``."""
        return torch.linalg.vector_norm(self.shift(g), dim=-1)

    def canonical(self, g: Tensor) -> Tensor:
        """``(R | t)``, to 1e-9."""
        return torch.round(g.flatten(-2), decimals=9) + 0.0

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """Those of the turn, the ``distance``, and the translation as ``shift_x``, ``shift_y`` and ``shift_z``."""
        rows = torch.cat([self.distance(g)[:, None], self.shift(g)], dim=1).tolist()
        moved = [dict(zip(("distance", "shift_x", "shift_y", "shift_z"), row, strict=True)) for row in rows]
        return [turn | shift for turn, shift in zip(self.turning.parameters(self.linear(g)), moved, strict=True)]

    def labels(self, g: Tensor) -> list[str]:
        """The turn, and where it then moves the origin: ``90° about (0, 0, 1), then (0.5, 0, -0.1)``."""
        shifts = (", ".join(f"{round(each, 4) + 0.0:g}" for each in row) for row in self.shift(g).tolist())
        turns = turn_labels(self.linear(g))
        return [f"{turn}, then ({shift})" for turn, shift in zip(turns, shifts, strict=True)]

    @staticmethod
    def _joined(linear: Tensor, shift: Tensor) -> Tensor:
        return torch.cat([linear, shift[..., None]], dim=-1)


class SE3(Motions):
    """Rotations and translations of space."""

    name = "SE3"
    size_unit = "degrees, the reach as 180"
    turning = SO3()
    algebra = MappingProxyType({**TURNS, **SHIFTS})

    def exponential(self, x: Tensor) -> Tensor:
        """Screws: of the coefficients ``(k, 6)``, turned by the first three at the speed of the others.

        ``t = (1 + (1 - cos a) / a^2 W + (a - sin a) / a^3 W^2) v``, W the cross product with the first three.
        """
        turn, speed = x[:, :3], x[:, 3:]
        angle = torch.linalg.vector_norm(turn, dim=1, keepdim=True)
        once, twice = torch.linalg.cross(turn, speed), torch.linalg.cross(turn, torch.linalg.cross(turn, speed))
        half = torch.sinc(angle / (2 * torch.pi)) ** 2 / 2  # (1 - cos a) / a^2, without its cancellation
        small = angle < 1e-3
        safe = torch.where(small, torch.ones_like(angle), angle)
        third = torch.where(small, 1 / 6 - angle**2 / 120, (safe - safe.sin()) / safe**3)
        return self._joined(rotations_of(turn), speed + half * once + third * twice)


class E3(SE3):
    """Rotations, reflections and translations of space: two strata."""

    name = "E3"
    turning = O3()

    def strata(self, g: Tensor) -> list[str] | None:
        """``proper`` and ``improper``."""
        return strata_of(self.linear(g))


class T3(Motions):
    """Translations of space.

    Args:
        reach: the longest; or several lengths, which are drawn in turn and printed apart.
    """

    name = "T3"
    size_unit = "length"
    turning = Trivial()
    algebra = SHIFTS

    def __init__(self, reach: float | Sequence[float]) -> None:
        self.lengths = (reach,) if isinstance(reach, float | int) else tuple(sorted(reach))
        super().__init__(self.lengths[-1])
        self.law = f"uniform on translations in a ball of radius {self.reach:g}"
        if not isinstance(reach, float | int):
            self.law = f"uniform in direction, by {', '.join(f'{each:g}' for each in self.lengths)} in turn"
        self._in_turn = not isinstance(reach, float | int)
        self.fewest = len(self.lengths)

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """From :attr:`law`; translations by several lengths are as many of each as can be."""
        drawn = super().sample(count, generator=generator)
        if not self._in_turn:
            return drawn
        lengths = torch.tensor(self.lengths, dtype=torch.float64)[torch.arange(count) % len(self.lengths)]
        direction = torch.nn.functional.normalize(drawn[..., 3], dim=1)
        return self._joined(drawn[..., :3], lengths[:, None] * direction)

    def strata(self, g: Tensor) -> list[str] | None:
        """``by 40``, the nearest length, where several are asked for; else None."""
        if not self._in_turn:
            return None
        apart = (self.distance(g)[:, None] - torch.tensor(self.lengths, dtype=torch.float64)).abs()
        return [f"by {self.lengths[each]:g}" for each in apart.argmin(1).tolist()]

    def size(self, g: Tensor) -> Tensor:
        """The distance, in the data's unit of length."""
        return self.distance(g)

    def exponential(self, x: Tensor) -> Tensor:
        """The translations by x."""
        return self._joined(EYE.expand(len(x), 3, 3), x)

    def parameters(self, g: Tensor) -> list[dict[str, float]]:
        """The ``distance``, and ``shift_x``, ``shift_y`` and ``shift_z``."""
        names = ("distance", "shift_x", "shift_y", "shift_z")
        return [{name: row[name] for name in names} for row in super().parameters(g)]

    def labels(self, g: Tensor) -> list[str]:
        """``by (0.5, 0, -0.1)``."""
        return [label.partition("then ")[2] for label in super().labels(g)]
