"""Permutations of places, and of the numbers that name them."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, Kind, Move, take
from symbench.algebra.groups.symmetric import Symmetric
from symbench.base.environment import sent
from symbench.base.registry import Options


class Permutation(Action):
    """Base of the actions of S_n: everything is a permutation, bit for bit."""

    def __init__(self, group: Symmetric, options: Options) -> None:
        del options
        self.group = group

    def kinds(self, g: Tensor) -> list[Kind]:
        """All permutations."""
        return ["permutation"] * len(g)

    def reference(self, g: Tensor, *, steps: int = 1) -> Move:
        """Exact already."""
        del steps
        return lambda x: self.act(g, x)


class PermutePlaces(Permutation):
    """S_n moves the places of ``(n_samples, places, rest)``."""

    def check(self, shape: tuple[int, ...]) -> str | None:
        """n must be the number of places."""
        places = shape[0] if shape else 0
        return None if places == self.group.n else f"{self.group.name} needs {self.group.n} rows, got {places}"

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One table for each element."""
        table = sent(self.group.inverse(g), like.device)
        return lambda x: take(x.movedim(1, -1), table).movedim(-1, 2)


class Rename(Permutation):
    """S_n renames the places that indices name, ``e -> g[e]``, in ``(n_samples, ...)``; below 0 they name none."""

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Any shape will do."""
        del shape
        return None

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """The permutations themselves are the tables."""
        images = sent(g, like.device)

        def rename(x: Tensor) -> Tensor:
            wide = images if images.ndim == 3 else images[:, None].expand(-1, len(x), -1)
            flat = x.flatten(1).expand(len(wide), -1, -1)
            named = wide.gather(-1, flat.clamp(min=0))
            return torch.where(flat < 0, flat, named).reshape(len(wide), *x.shape)

        return rename
