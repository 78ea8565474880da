"""Atoms moved by whole vectors of their lattice, and the lattice's vectors mixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, Kind, Move, signed_permutations
from symbench.base.environment import sent
from symbench.base.errors import DataError, Problem
from symbench.domains.atoms.groups.lattice import AXES, Bases
from symbench.domains.atoms.groups.wrap import Wrap

VECTORS = 3
"""Of a lattice: as many rows as its cell has."""


class WrapPoints(Action):
    """``x -> x + n cell``, n whole numbers for each atom, along those vectors alone that the atoms repeat along."""

    moves_values = True
    beside = ("cell", "periodic")

    def __init__(self, group: Wrap, options: Any) -> None:
        del options
        self.group = group

    def check(self, shape: tuple[int, ...]) -> str | None:
        """As many atoms as elements move."""
        if tuple(shape) == (self.group.n, 3):
            return None
        return f"{self.group.name} moves {self.group.n} atoms of space, got shape {shape}"

    def kinds(self, g: Tensor) -> list[Kind]:
        """Sums that round, but for the identity."""
        still = (g == 0).flatten(1).all(1).tolist()
        return ["permutation" if each else "exact" for each in still]

    def carried(self, x: Tensor, beside: Sequence[Tensor]) -> Tensor:
        """Positions and behind them the vectors, 0 where nothing repeats along them: ``(n, atoms + 3, 3)``."""
        cell, periodic = beside
        return torch.cat([x, cell.to(x) * periodic.to(x)[..., None]], dim=1)

    def finish(self, x: Tensor) -> Tensor:
        """The positions alone."""
        return x[:, :-VECTORS]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One table of whole numbers for each element."""
        numbers = sent(g, like.device)
        wide = numbers if numbers.ndim == 4 else numbers[:, None]  # (k, n, atoms, 3)

        def move(x: Tensor) -> Tensor:
            positions, cell = x[:, :-VECTORS], x[:, -VECTORS:]
            # Vector by vector rather than by a matrix product, whose rounding depends on how much it is given.
            moved = positions[None]
            for number in range(VECTORS):
                moved = moved + wide[..., number : number + 1].to(x) * cell[None, :, number : number + 1]
            return torch.cat([moved, cell[None].expand(len(moved), -1, -1, -1)], dim=2)

        return move

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Itself: nothing is resampled."""
        del steps
        return lambda x: self.act(g, x)


class MixVectors(Action):
    """``cell -> U cell``: rows are mixed by whole numbers, and stay a basis of the same lattice."""

    moves_values = True
    beside = ("periodic",)

    def __init__(self, group: Bases, options: Any) -> None:
        del options
        self.group = group

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Three vectors of space."""
        return None if tuple(shape) == (VECTORS, 3) else f"a lattice has 3 vectors of space, got shape {shape}"

    def kinds(self, g: Tensor) -> list[Kind]:
        """Bit for bit where vectors are exchanged and turned round, all others round."""
        return ["permutation" if each else "exact" for each in signed_permutations(g.double()).tolist()]

    def carried(self, x: Tensor, beside: Sequence[Tensor]) -> Tensor:
        """The cell as it is, where atoms repeat along all vectors that are mixed: only then is it the same crystal.

        Raises:
            DataError: they do not.
        """
        lacking = (beside[0][:, self.group.along] == 0).flatten(1).any(0).nonzero().flatten().tolist()
        if lacking:
            names = ", ".join(AXES[self.group.along[each]] for each in lacking)
            got = f"atoms do not repeat along {names}, which {self.group.name} mixes with others"
            raise DataError(Problem("cell", got, "vectors that they repeat along", "Say along: with these alone."))
        return x

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One matrix for each element."""
        numbers = sent(g, like.device)
        wide = (numbers if numbers.ndim == 4 else numbers[:, None])[..., None]  # (k, n, 3, 3, 1)
        return lambda x: sum(wide[..., j, :].to(x) * x[None, :, j : j + 1] for j in range(VECTORS))  # type: ignore[return-value]

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Itself: nothing is resampled."""
        del steps
        return lambda x: self.act(g, x)
