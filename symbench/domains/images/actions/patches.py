"""Permutations of the patches and of the pixels of an image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symbench.algebra.actions.base import Move, take
from symbench.algebra.actions.permute import Permutation
from symbench.base.environment import sent


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
        table = sent(table.reshape(*g.shape[:-1], height * width), like.device)
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
        table = sent(self.group.inverse(g), like.device)
        return lambda x: take(x.flatten(-2), table).unflatten(-1, x.shape[-2:])
