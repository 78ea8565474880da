"""Mirrors of space at the planes of its axes."""

from __future__ import annotations

import itertools
from math import prod

import torch
from torch import Tensor

from symbench.domains.points.groups.finite import Finite, mirror
from symbench.domains.points.groups.space import EYE


class Mirrors(Finite):
    """Z2^k: the mirrors that negate some of x, y and z, and all that they make together.

    Test-time averaging over flips is averaging over this group. It keeps every grid, whatever its sides and spacing.

    Args:
        axes: which of ``xyz``.
    """

    name = "mirrors"

    def __init__(self, axes: str = "xyz") -> None:
        self.axes = axes
        rows = [torch.tensor(signs).double() for signs in itertools.product((1.0, -1.0), repeat=len(axes))]
        places = ["xyz".index(each) for each in axes]
        self.listed = EYE.repeat(len(rows), 1, 1)
        for matrix, signs in zip(self.listed, rows, strict=True):
            matrix[places, places] = signs
        self.count = len(rows)

    def generating(self) -> dict[str, Tensor]:
        """``mirror-x``, ``mirror-y`` and ``mirror-z``, as far as it has them."""
        return {f"mirror-{each}": mirror("xyz".index(each)) for each in self.axes}

    def labels(self, g: Tensor) -> list[str]:
        """``mirror x and z``: what is negated."""
        signs = g.diagonal(dim1=-2, dim2=-1).tolist()
        negated = [[name for name, sign in zip("xyz", row, strict=True) if sign < 0] for row in signs]
        return [f"mirror {' and '.join(names)}" if names else "identity" for names in negated]

    def irreps(self, g: Tensor) -> dict[str, Tensor]:
        """All of them but the trivial one: products of the axes' signs."""
        signs = dict(zip("xyz", g.diagonal(dim1=-2, dim2=-1).unbind(-1), strict=True))
        some = (each for count in range(len(self.axes)) for each in itertools.combinations(self.axes, count + 1))
        return {"".join(each): prod(signs[name] for name in each)[:, None, None] for each in some}  # type: ignore[index]
