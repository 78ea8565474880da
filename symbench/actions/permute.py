"""Permutations of patches, pixels and rows."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symbench.actions.base import Action, Kind, Move, take
from symbench.groups.symmetric import Symmetric
from symbench.registry import Options


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


class PermutePatches(Permutation):
    """S_n moves the ``n = m x m`` equal patches of an image, counted row by row; their insides stay as they are."""

    def check(self, shape: tuple[int, ...]) -> str | None:
        """n must be a square that divides both sides."""
        if len(shape) != 3:
            return f"an image has shape (c, h, w), got {shape}"
        side = math.isqrt(self.group.n)
        if side * side != self.group.n:
            return f"patches need n = m x m, and {self.group.n} is no square"
        if shape[1] % side or shape[2] % side:
            return f"{side} x {side} patches do not divide an image of {shape[1]} x {shape[2]} pixels"
        return None

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Pixel tables made from the patches' new places."""
        height, width = like.shape[-2:]
        side = math.isqrt(self.group.n)
        pixels = torch.arange(height * width).view(side, height // side, side, width // side)
        patches = pixels.transpose(1, 2).flatten(2).flatten(0, 1)  # (n, pixels of a patch)
        moved = patches[self.group.inverse(g)]  # (*batch, n, pixels of a patch)
        table = moved.view(*g.shape[:-1], side, side, height // side, width // side).transpose(-3, -2)
        table = table.reshape(*g.shape[:-1], height * width).to(like.device)
        return lambda x: take(x.flatten(-2), table).unflatten(-1, x.shape[-2:])


class PermutePixels(Permutation):
    """S_n moves the ``n = h x w`` pixels of an image, all channels together."""

    def check(self, shape: tuple[int, ...]) -> str | None:
        """n must be the number of pixels."""
        if len(shape) != 3:
            return f"an image has shape (c, h, w), got {shape}"
        pixels = shape[1] * shape[2]
        return None if pixels == self.group.n else f"{self.group.name} needs {self.group.n} pixels, got {pixels}"

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One table for each element."""
        table = self.group.inverse(g).to(like.device)
        return lambda x: take(x.flatten(-2), table).unflatten(-1, x.shape[-2:])


class PermutePlaces(Permutation):
    """S_n moves the places of ``(n_samples, places, rest)``."""

    def check(self, shape: tuple[int, ...]) -> str | None:
        """n must be the number of places."""
        places = shape[0] if shape else 0
        return None if places == self.group.n else f"{self.group.name} needs {self.group.n} rows, got {places}"

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One table for each element."""
        table = self.group.inverse(g).to(like.device)
        return lambda x: take(x.movedim(1, -1), table).movedim(-1, 2)


class Rename(Permutation):
    """S_n renames the places that indices name, ``e -> g[e]``, in ``(n_samples, ...)``; below 0 they name none."""

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Any shape will do."""
        del shape
        return None

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """The permutations themselves are the tables."""
        images = g.to(like.device)

        def rename(x: Tensor) -> Tensor:
            wide = images if images.ndim == 3 else images[:, None].expand(-1, len(x), -1)
            flat = x.flatten(1).expand(len(wide), -1, -1)
            named = wide.gather(-1, flat.clamp(min=0))
            return torch.where(flat < 0, flat, named).reshape(len(wide), *x.shape)

        return rename
