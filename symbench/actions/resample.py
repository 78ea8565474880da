"""Pixels between pixels: the resamplers that turning and sliding share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from symbench.actions import ResampleOptions
from symbench.actions.fourier import padded_size

AROUND = 2
"""Pixels around a place that bicubic interpolation looks at."""


def fill_value(options: ResampleOptions) -> float:
    """The colour beyond the edge."""
    return options.fill if options.border in {"fill", "disc"} else 0.0


def sample_at(x: Tensor, grid: Tensor, options: ResampleOptions) -> Tensor:
    """Bilinear or bicubic values at the places of a grid from :func:`grid_of`.

    Args:
        x: ``(n, c, h, w)``.
        grid: ``(n, h, w, 2)``.
        options: interpolation, border and fill.
    """
    mode = options.interpolation
    if options.border == "circular":
        wide = pad(x, (AROUND, AROUND + 1, AROUND, AROUND + 1), mode="circular")
        return grid_sample(wide, grid, mode=mode, align_corners=True)
    if options.border == "reflect":
        return grid_sample(x, grid, mode=mode, padding_mode="reflection", align_corners=True)
    fill = fill_value(options)
    return grid_sample(x - fill, grid, mode=mode, align_corners=True) + fill


def grid_of(sources: Tensor, height: int, width: int, options: ResampleOptions) -> Tensor:
    """``grid_sample``'s coordinates of source places, -1 and 1 at the centres of the outermost pixels.

    Args:
        sources: ``(items, h, w, 2)`` as (row, column) in pixels, float64.
        height: pixels of the image.
        width: pixels of the image.
        options: a circular border wraps the places into a padded image.
    """
    row, column = sources.unbind(-1)
    if options.border == "circular":
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
