"""Rotations and mirrors of images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from symbench.actions import PlaneOptions
from symbench.actions.base import Action, Kind, Move, take
from symbench.actions.border import apply_disc
from symbench.groups.plane import PlaneGroup


class TurnImage(Action):
    """Rotates and mirrors images about the pixel-centre midpoint, counter-clockwise as displayed.

    Quarter turns and mirrors are index tables, bit for bit; every other element is resampled bilinearly from
    a grid built in float64.
    """

    def __init__(self, group: PlaneGroup, options: PlaneOptions) -> None:
        self.group = group
        self.options = options

    def check(self, shape: tuple[int, ...]) -> str | None:
        """Quarter turns need a square, and a grid needs two pixels a side."""
        if len(shape) != 3:
            return f"an image has shape (c, h, w), got {shape}"
        _, height, width = shape
        if height != width and self.group.name not in {"C2", "D1", "D2"}:
            return f"turning needs a square image, got {height} x {width}"
        if min(height, width) < 2:
            return f"turning needs at least 2 x 2 pixels, got {height} x {width}"
        return None

    def kinds(self, g: Tensor) -> list[Kind]:
        """``permutation`` where the matrix holds only 0 and +-1."""
        return ["permutation" if exact else "resampled" for exact in _exact(self.group.matrices(g)).tolist()]

    def prepare(self, x: Tensor) -> Tensor:
        """The disc, where chosen."""
        return apply_disc(x, self.options.taper, self.options.fill) if self.options.border == "disc" else x

    def bind(self, g: Tensor, like: Tensor) -> Move:
        """Index tables for the exact elements and sampling grids for the others."""
        matrices = self.group.matrices(g)
        shared = g.ndim == 1 + self.group.element_ndim
        height, width = like.shape[-2:]
        items = matrices.flatten(0, -3)  # (k, 2, 2) or (k * n, 2, 2)
        exact = _exact(items)
        sources = _source_pixels(items, height, width)  # (items, h, w, 2), (row, column)
        rounded = sources[exact].round().long()
        tables = (rounded[..., 0] * width + rounded[..., 1]).flatten(1).to(like.device)
        grids = self._grids(sources[~exact], height, width).to(like.device, _at_least_float32(like))
        exact = exact.to(like.device)

        def move(x: Tensor) -> Tensor:
            n = len(x)
            if shared:
                out = x.new_empty(len(g), n, *x.shape[1:])
                out[exact] = take(x.flatten(-2), tables).unflatten(-1, x.shape[-2:])
                for place, grid in zip((~exact).nonzero().flatten().tolist(), grids, strict=True):
                    out[place] = self._resample(x, grid.expand(n, *grid.shape))
                return out
            each = x.expand(len(g), *x.shape).flatten(0, 1)  # (k * n, c, h, w)
            out = torch.empty_like(each)
            turned = take(each[exact].flatten(-2), tables[None])[0]
            out[exact] = turned.unflatten(-1, x.shape[-2:])
            if len(grids):
                out[~exact] = self._resample(each[~exact], grids)
            return out.unflatten(0, (len(g), n))

        return move

    def _grids(self, sources: Tensor, height: int, width: int) -> Tensor:
        """``grid_sample``'s coordinates, -1 and 1 at the centres of the outermost pixels (``align_corners``)."""
        row, column = sources.unbind(-1)
        if self.options.border == "circular":  # one pixel of padding closes the circle, see _resample
            row, column = torch.remainder(row, height), torch.remainder(column, width)
            height, width = height + 1, width + 1
        return torch.stack([2 * column / (width - 1) - 1, 2 * row / (height - 1) - 1], dim=-1)

    def _resample(self, x: Tensor, grid: Tensor) -> Tensor:
        if self.options.border == "circular":
            return grid_sample(pad(x, (0, 1, 0, 1), mode="circular"), grid, align_corners=True)
        fill = self.options.fill if self.options.border in {"fill", "disc"} else 0.0
        return grid_sample(x - fill, grid, align_corners=True) + fill


def _exact(matrices: Tensor) -> Tensor:
    """Which matrices only exchange and negate axes, ``(*batch,)`` bool."""
    return ((matrices == 0) | (matrices.abs() == 1)).all(dim=(-1, -2))


def _source_pixels(matrices: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel's value comes from, ``(items, h, w, 2)`` as (row, column), float64.

    ``(g.x)(p) = x(g^-1 p)`` with p measured from the midpoint, x to the right and y up; g is orthogonal.
    """
    y = (height - 1) / 2 - torch.arange(height, dtype=torch.float64)
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    m = matrices[..., None, None]  # (items, 2, 2, 1, 1); row vector times M is M^T p, the inverse of M
    back_x = x[None, :] * m[:, 0, 0] + y[:, None] * m[:, 1, 0]
    back_y = x[None, :] * m[:, 0, 1] + y[:, None] * m[:, 1, 1]
    return torch.stack([(height - 1) / 2 - back_y, back_x + (width - 1) / 2], dim=-1)


def _at_least_float32(like: Tensor) -> torch.dtype:
    return torch.promote_types(like.dtype, torch.float32) if like.is_floating_point() else torch.float32
