"""Shifts of images by fractions of a pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.actions import ResampleOptions
from symbench.actions.base import Kind, Move
from symbench.actions.border import FramedAction
from symbench.actions.fourier import shift
from symbench.actions.resample import at_least_float32, grid_of, sample_at, with_room
from symbench.groups.slide import PlaneTranslations


class SlideImage(FramedAction):
    """Moves an image by any distance, down and to the right for positive shifts.

    ``fourier`` is a phase ramp along either axis: exact for band-limited images, and alias-free.
    """

    def __init__(self, group: PlaneTranslations, options: ResampleOptions) -> None:
        self.group = group
        self.options: ResampleOptions = options

    def reach(self, side: int) -> float:
        """The longest shift, and a pixel for the neighbours."""
        del side
        return self.group.reach + 1

    def kinds(self, g: Tensor) -> list[Kind]:
        """Whole-numbered circular shifts by phase ramps are permutations only up to rounding: all is resampled."""
        return ["permutation" if not any(distance) else "resampled" for distance in g.tolist()]

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Distances, or a sampling grid for each element."""
        shared = g.ndim == 2
        height, width = like.shape[-2:]
        items = g.reshape(-1, 2)
        grids = like.new_empty(0)
        if self.options.interpolation != "fourier":
            row = torch.arange(height, dtype=torch.float64) - items[:, :1]
            column = torch.arange(width, dtype=torch.float64) - items[:, 1:]
            sources = torch.stack(torch.broadcast_tensors(row[:, :, None], column[:, None, :]), dim=-1)
            grids = grid_of(sources, height, width, self.options).to(like.device, at_least_float32(like))

        def slide(x: Tensor, which: list[int]) -> Tensor:
            """One element's number for each image of ``x``."""
            if not bool(items[which].any()):
                return x
            if self.options.interpolation != "fourier":
                return sample_at(x, grids[which], self.options)
            down, across = (items[which][:, i, None, None, None] for i in (0, 1))
            return with_room(x, lambda wide: shift(shift(wide, down, -2), across, -1), self.options)

        def move(x: Tensor) -> Tensor:
            if shared:
                return torch.stack([slide(x, [i] * len(x)) for i in range(len(items))])
            each = x.expand(len(g), *x.shape).flatten(0, 1)
            return slide(each, list(range(len(items)))).unflatten(0, (len(g), len(x)))

        return move
