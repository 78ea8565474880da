"""Integer shifts of images."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.actions.base import Kind, Move, take
from symbench.base.environment import sent
from symbench.domains.images.actions.border import IN_PIXELS, FramedAction
from symbench.domains.images.actions.filters import folded
from symbench.domains.images.actions.options import ShiftOptions
from symbench.domains.images.groups.translation import Translations


class ShiftImage(FramedAction):
    """Moves an image by whole pixels, down and to the right for positive shifts.

    Circular shifts are permutations. With any other border what leaves the frame is lost; ``crop`` looks at the
    middle only, into which real pixels move.
    """

    in_input_units = IN_PIXELS

    def __init__(self, group: Translations, options: ShiftOptions) -> None:
        self.group = group
        self.options: ShiftOptions = options

    def reach(self, side: int) -> float:
        """The longest shift."""
        del side
        return max(self.group.reach, self.group.back)

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Shifts a whole image apart coincide where they come round again, and leave nothing where they do not."""
        reason = super().check(shape)
        if reason is not None:
            return reason
        reach, back, side = self.group.reach, self.group.back, min(shape[1:])
        got = f"a reach of {reach} px" if back == reach else f"a reach of {reach} px and {back} px back"
        return f"{got} needs more than {reach + back} px, got {side}" if reach + back >= side else None

    def kinds(self, g: Tensor) -> list[Kind]:
        """``permutation`` when circular or not shifted at all, else ``lossy``."""
        circular = self.options.border == "circular"
        return ["permutation" if circular or not any(shift) else "lossy" for shift in g.tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """One table of source pixels for each element."""
        height, width = like.shape[-2:]
        row = folded(torch.arange(height) - g[..., 0, None], height, self.options.border)  # (*batch, h)
        column = folded(torch.arange(width) - g[..., 1, None], width, self.options.border)
        inside = (row >= 0)[..., :, None] & (column >= 0)[..., None, :]
        table = torch.where(inside, row[..., :, None] * width + column[..., None, :], -1)
        fill = self.options.fill if self.options.border in {"zero", "fill", "crop"} else None
        table = sent(table.flatten(-2), like.device)
        return lambda x: take(x.flatten(-2), table, fill=fill).unflatten(-1, x.shape[-2:])
