"""Integer shifts of images."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.actions import ShiftOptions
from symbench.actions.base import Action, Kind, Move, take
from symbench.groups.translation import Translations


class ShiftImage(Action):
    """Moves an image by whole pixels, down and to the right for positive shifts.

    Circular shifts are permutations. With a zero or filled border what leaves the frame is lost.
    """

    def __init__(self, group: Translations, options: ShiftOptions) -> None:
        self.group = group
        self.options = options

    def check(self, shape: tuple[int, ...]) -> str | None:
        """A shift by half the image or more comes round again, or leaves nothing."""
        if len(shape) != 3:
            return f"an image has shape (c, h, w), got {shape}"
        reach, side = self.group.reach, min(shape[1:])
        return f"a reach of {reach} px needs more than {2 * reach} px, got {side}" if 2 * reach >= side else None

    def kinds(self, g: Tensor) -> list[Kind]:
        """``permutation`` when circular or not shifted at all, else ``lossy``."""
        circular = self.options.border == "circular"
        return ["permutation" if circular or not any(shift) else "lossy" for shift in g.tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One table of source pixels for each element."""
        height, width = like.shape[-2:]
        row = torch.arange(height) - g[..., 0, None]  # (*batch, h)
        column = torch.arange(width) - g[..., 1, None]
        inside = ((row >= 0) & (row < height))[..., :, None] & ((column >= 0) & (column < width))[..., None, :]
        table = torch.remainder(row, height)[..., :, None] * width + torch.remainder(column, width)[..., None, :]
        fill = None
        if self.options.border != "circular":
            table = torch.where(inside, table, -1)
            fill = self.options.fill if self.options.border == "fill" else 0.0
        table = table.flatten(-2).to(like.device)
        return lambda x: take(x.flatten(-2), table, fill=fill).unflatten(-1, x.shape[-2:])
