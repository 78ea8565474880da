"""Points: turned about their centre, and translated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from symbench.algebra.actions.base import Kind, Move
from symbench.algebra.fields import Point
from symbench.algebra.groups.base import Group
from symbench.domains.points.actions.linear import Elements, Linear, combined, onto
from symbench.domains.points.groups.motions import SE3
from symbench.domains.points.groups.space import SpaceGroup


class Points(Linear):
    """``x -> R (x - c) + c + t`` in the last axis of ``(n, ..., 3)``, c the origin, the mean of a sample's points, or
    the middle of its cell, which they then carry behind them: half the sum of its rows, before anything turned it."""

    value: Point

    def __init__(self, group: Group, options: Any, value: Point) -> None:
        super().__init__(group, options, value)
        self.beside = ("cell",) if value.centre == "cell" else ()

    def carried(self, x: Tensor, beside: Sequence[Tensor]) -> Tensor:
        """Points ``(n, points, 3)``, and behind them the middle of the cell ``(n, 3, 3)``."""
        return torch.cat([x, beside[0].to(x).sum(1, keepdim=True) / 2], dim=1) if beside else x

    def finish(self, x: Tensor) -> Tensor:
        """The points alone."""
        return x[:, :-1] if self.beside else x

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Three components; and where elements turn and translate, the centre stays where it is."""
        if self.value.centre == "centroid" and isinstance(self.group, SE3):
            # (R | s) (Q | t) = (R Q | R t + s) turns the translation t, which leaves each centroid's turn alone.
            return f"points {self.value} turn, and are translated, in two ways that do not make {self.group.name}"
        return super().check(shape)

    def represented(self, linear: Tensor) -> Tensor:
        """R itself."""
        return linear

    def shifts(self, g: Tensor) -> Tensor | None:
        """t of the elements, ``(*batch, 3)``; None where the group translates nothing."""
        return self.group.shift(g) if isinstance(self.group, SpaceGroup) else None

    def kinds(self, g: Tensor) -> list[Kind]:
        """As of vectors, where nothing is translated and no mean is taken."""
        shifts, kinds = self.shifts(g), super().kinds(g)
        identity = (self.matrices(g) == torch.eye(3, dtype=torch.float64)).flatten(1).all(1)
        kept = torch.ones_like(identity) if self.value.centre == "origin" else identity
        if shifts is not None:
            kept = kept & (shifts == 0).all(-1)
        return [kind if each else "exact" for kind, each in zip(kinds, kept.tolist(), strict=True)]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One matrix and one translation for each element."""
        matrices, found = self.matrices(g), self.shifts(g)
        if self.value.centre != "origin":
            matrices = matrices - torch.eye(3, dtype=torch.float64)
        turn = onto(matrices, like)
        shift = None if found is None else onto(found if found.ndim == 3 else found[:, None], like)[:, :, None]

        def move(x: Tensor) -> Tensor:
            wide = x.to(turn.dtype).reshape(len(x), -1, 3)
            if self.value.centre != "origin":
                # (R - 1)(x - c) on top of x: what nothing turns stays as it is, bit for bit.
                moved = wide + combined(turn, wide - self._centre(wide))
            else:
                moved = combined(turn, wide)
            moved = moved if shift is None else moved + shift
            if self.beside:  # the middle that points turn about is no point, and stays
                moved = torch.cat([moved[:, :, :-1], wide[None, :, -1:].expand(len(moved), -1, -1, -1)], dim=2)
            return moved.to(x.dtype).reshape(len(moved), *x.shape)

        return move

    def _centre(self, wide: Tensor) -> Tensor:
        """What points ``(n, points, 3)`` turn about, ``(n, 1, 3)``."""
        return wide[:, -1:] if self.beside else wide.mean(1, keepdim=True)

    def _derivative(self, unit: str, elements: Elements) -> Callable[[Tensor], Tensor]:
        """Of points, a translation's is where it goes, and a turn's that of the vector from the centre."""
        if unit == "rad":
            turned = super()._derivative(unit, elements)
            if self.value.centre == "origin":
                return turned
            return lambda x: turned(x - self._centre(x.reshape(len(x), -1, 3)).reshape(-1, *(1,) * (x.ndim - 2), 3))
        shift = self.shifts(elements(torch.ones(1, dtype=torch.float64)))
        if shift is None:
            raise TypeError(f"{self.group.name} has no translations")
        if self.beside:
            return lambda x: torch.cat([shift[0].to(x).expand_as(x[:, :-1]), torch.zeros_like(x[:, -1:])], dim=1)
        return lambda x: shift[0].to(x).expand_as(x).clone()
