"""Pixels between pixels: the resamplers that turning, sliding and zooming share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from symbench.base.environment import sent
from symbench.domains.images.actions.filters import Filters
from symbench.domains.images.actions.fourier import padded_size
from symbench.domains.images.actions.options import ResampleOptions

AROUND = 2
"""Pixels around a place that a circular border repeats for ``grid_sample``."""
Reader = Callable[[Tensor, Sequence[int] | int], Tensor]
"""Images ``(n, c, h, w)``, and for each the number of its element, or one for all, to images of the same shape."""


def fill_value(options: ResampleOptions) -> float:
    """The colour beyond the edge."""
    return options.fill if options.border in {"fill", "disc"} else 0.0


def reader(sources: Tensor, like: Tensor, options: ResampleOptions, widths: Tensor | None = None) -> Reader:
    """A function that reads images at the places which each element takes its pixels from, by bilinear or bicubic.

    Args:
        sources: ``(items, h, w, 2)`` as (row, column) in pixels, float64.
        like: images ``(n, c, h, w)``; their size, dtype and device matter.
        options: interpolation, border and fill.
        widths: ``(items,)``, by how much the filter is widened, 1 or more: as an image is reduced (antialiasing).
    """
    if options.interpolation == "bilinear" and (widths is None or bool((widths <= 1).all())):
        height, width = like.shape[-2:]
        grids = _grids(sources, height, width, options).to(like.device, at_least_float32(like))
        return lambda x, which: _sample(x, chosen(grids, which, len(x)), options)
    widths = torch.ones(len(sources), dtype=torch.float64) if widths is None else widths
    filters = Filters.of(sources, widths, at_least_float32(like), like.device)
    border, cubic, fill = options.border, options.interpolation == "bicubic", fill_value(options)
    return lambda x, which: filters.read(x - fill, which, border=border, cubic=cubic) + fill


def chosen(rows: Tensor, which: Sequence[int] | int, count: int) -> Tensor:
    """The rows ``(items, ...)`` of these numbers, or one of them for all, ``(count, ...)``."""
    if isinstance(which, int):
        return rows[which : which + 1].expand(count, *rows.shape[1:])
    return rows.index_select(0, sent(torch.tensor(which), rows.device))


def _sample(x: Tensor, grid: Tensor, options: ResampleOptions) -> Tensor:
    """Bilinear values of ``(n, c, h, w)`` at the places of a grid ``(n, h, w, 2)``."""
    if options.border == "circular":
        wide = pad(x, (AROUND, AROUND + 1, AROUND, AROUND + 1), mode="circular")
        return grid_sample(wide, grid, align_corners=True)
    if options.border == "reflect":
        return grid_sample(x, grid, padding_mode="reflection", align_corners=True)
    fill = fill_value(options)
    return grid_sample(x - fill, grid, align_corners=True) + fill


def _grids(sources: Tensor, height: int, width: int, options: ResampleOptions) -> Tensor:
    """``grid_sample``'s coordinates of source places, -1 and 1 at the centres of the outermost pixels."""
    row, column = sources.unbind(-1)
    if options.border == "circular":  # wrapped into a padded image
        row, column = torch.remainder(row, height) + AROUND, torch.remainder(column, width) + AROUND
        height, width = height + 2 * AROUND + 1, width + 2 * AROUND + 1
    return torch.stack([2 * column / (width - 1) - 1, 2 * row / (height - 1) - 1], dim=-1)


def neighbours(options: ResampleOptions) -> int:
    """Pixels that count beyond the nearest ones: 0 for bilinear; for ``fourier`` all do, and one is asked for."""
    return 0 if options.interpolation == "bilinear" else 1


def with_room(x: Tensor, move: Callable[[Tensor], Tensor], options: ResampleOptions, *, room: float = 1.45) -> Tensor:
    """Apply a periodic move on a canvas with room around the image, continued as the border policy says.

    Args:
        x: ``(n, c, h, w)``.
        move: periodic, shape kept.
        options: ``circular`` needs no room; ``reflect`` mirrors the image into it; all others fill it.
        room: how many times as large as the image the canvas is, at least.
    """
    if options.border == "circular":
        return move(x)
    height, width = x.shape[-2:]
    down = (padded_size(height, room) - height) // 2
    across = (padded_size(width, room) - width) // 2
    edges = (across, across, down, down)
    if options.border == "reflect":
        wide, fill = pad(x, edges, mode="reflect"), 0.0
    else:
        fill = fill_value(options)
        wide = pad(x - fill, edges)
    return move(wide)[..., down : down + height, across : across + width] + fill


def reference_options(options: ResampleOptions) -> ResampleOptions:
    """Those of the reference action: Fourier, with room around the image in the colour beyond its edge."""
    fill = fill_value(options)
    return ResampleOptions(interpolation="fourier", border="fill" if fill else "zero", fill=fill)


def at_least_float32(like: Tensor) -> torch.dtype:
    """The dtype of grids: that of the images, but never half precision."""
    return torch.promote_types(like.dtype, torch.float32) if like.is_floating_point() else torch.float32
