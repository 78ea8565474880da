"""Rotations and mirrors of vectors of the plane: a formula, right to rounding."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, Generator, Kind, Move, times
from symbench.base.environment import sent
from symbench.base.registry import Options
from symbench.domains.images.groups.plane import PlaneGroup


class TurnVectors(Action):
    """``v -> M v`` with the element's 2 x 2 matrix; x to the right and y up, in the last axis of ``(n, ..., 2)``."""

    def __init__(self, group: PlaneGroup, options: Options) -> None:
        del options
        self.group = group

    def matrices(self, g: Tensor) -> Tensor:
        """Of the elements, ``(*batch, 2, 2)``, float64."""
        return self.group.matrices(g)

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Two components."""
        return None if shape and shape[-1] == 2 else f"a vector of the plane has 2 components, got shape {shape}"

    def kinds(self, g: Tensor) -> list[Kind]:
        """Quarter turns and mirrors exchange and negate components, bit for bit; all others round."""
        matrices = self.matrices(g)
        only = ((matrices == 0) | (matrices.abs() == 1)).all(dim=(-1, -2))
        return ["permutation" if each else "exact" for each in only.tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One matrix for each element."""
        matrices = sent(self.matrices(g).to(like.dtype), like.device)
        return lambda x: times(matrices, x)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Itself: nothing is resampled."""
        del steps
        return lambda x: self.act(g, x)

    def generators(self) -> Mapping[str, Generator]:
        """Rotation, per radian, where the group holds all angles."""
        if self.group.count is not None:
            return {}

        def flow(x: Tensor, t: float) -> Tensor:
            turn = x.new_tensor([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
            return times(turn[None], x)[0]

        return {"rotation": Generator("rad", flow, lambda x: torch.stack([-x[..., 1], x[..., 0]], dim=-1))}


class TurnPseudoVectors(TurnVectors):
    """``v -> det(M) M v``."""

    def matrices(self, g: Tensor) -> Tensor:
        """The matrix times its determinant, -1 for mirrors."""
        sign = torch.where(self.group.mirrored(g), -1.0, 1.0).double()
        return super().matrices(g) * sign[..., None, None]
