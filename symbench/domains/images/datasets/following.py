"""What stands on an image follows it to its canvas: label maps, flow, boxes, points."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from symbench.algebra.fields import Boxes, Field, Flow, Keypoints
from symbench.base.errors import DataError, Problem
from symbench.domains.common.canvas import Canvas, Frame, Placement

NO_OBJECT = (0.0, 0.0, 0.0, 0.0, 0.0, -1.0)
"""The row of boxes that stands for none."""
IGNORED = -1
"""The class of places that count nowhere."""


def followed(
    field: Field, target: Tensor, size: tuple[int, int], canvas: Canvas | None, *, longest: int | None = None
) -> Tensor:
    """Targets of images of one size, as they belong to the images on a canvas.

    Classes of places are those of the nearest ones, numbers of places are resized as images are; boxes lose what is
    beyond the canvas, and those that have nothing left are none any more; points beyond it are not visible.

    Args:
        field: of the target. What belongs to no grid, or to a frame of its own, stays as it is.
        target: ``(n, ...)``.
        size: height and width of the images as they were.
        canvas: what they were brought to; None where they stayed.
        longest: see :meth:`~symbench.domains.common.canvas.Frame.placed`.

    Raises:
        DataError: a map is not of its images' size.
    """
    if canvas is None or size == (canvas, canvas):
        return target
    placement = Frame.of(canvas).placed(*size, longest)
    if isinstance(field.value, Boxes) and not field.places:
        return target if field.value.frame else boxes_on(placement, target)
    if isinstance(field.value, Keypoints) and not field.places:
        return target if field.value.frame else points_on(placement, target, centred=field.value.origin == "centre")
    if field.grid is None or field.grid.size != 2:
        return target
    if tuple(target.shape[-2:]) != size:
        height, width = target.shape[-2:]
        got = f"a map of {height} x {width} pixels belongs to an image of {size[0]} x {size[1]}"
        raise DataError(Problem("targets", got, "one size"))
    if not target.is_floating_point():
        return classes_on(placement, target)
    numbers = numbers_on(placement, target)
    down, right = placement.scale
    return numbers * numbers.new_tensor([right, down])[:, None, None] if isinstance(field.value, Flow) else numbers


def classes_on(placement: Placement, maps: Tensor) -> Tensor:
    """Maps ``(..., h, w)`` of whole numbers on a canvas: each place as the one that its centre lies in, -1 where
    there is none."""
    top, left, height, width = placement.cut
    rows, no_row = _nearest(placement.corner[0], placement.side, height, placement.size[0])
    columns, no_column = _nearest(placement.corner[1], placement.side, width, placement.size[1])
    found = maps[..., (rows + top)[:, None], columns + left]
    return found.masked_fill(no_row[:, None] | no_column, IGNORED) if no_row.any() or no_column.any() else found


def _nearest(first: int, count: int, length: int, resized: int) -> tuple[Tensor, Tensor]:
    """Which of ``length`` places each of ``count`` lies in, counted from ``first`` of ``resized``; and which lie in
    none."""
    at = torch.arange(first, first + count)
    # floor((i + 1/2) length / resized) in whole numbers: in floating point the halves fall to either side.
    return ((2 * at + 1) * length // (2 * resized)).clamp(0, length - 1), (at < 0) | (at >= resized)


def numbers_on(placement: Placement, maps: Tensor) -> Tensor:
    """Maps ``(..., h, w)`` of floating-point numbers on a canvas: bilinear and antialiased, never clamped."""
    top, left, height, width = placement.cut
    cut = maps[..., top : top + height, left : left + width]
    flat = cut.reshape(-1, 1, height, width)
    resized = interpolate(flat, size=placement.size, mode="bilinear", antialias=True, align_corners=False)
    top, left = placement.corner
    kept = resized[..., top : top + placement.side, left : left + placement.side]
    return kept.reshape(*maps.shape[:-2], *kept.shape[-2:])


def boxes_on(placement: Placement, boxes: Tensor) -> Tensor:
    """Boxes ``(n, most, 6)`` on a canvas, cut at its edges; those that are left stand first, in their order."""
    edges = _on(placement, boxes[..., :4].unflatten(-1, (2, 2))).clamp(0, placement.side).flatten(-2)
    left = (boxes[..., 5] >= 0) & (edges[..., 2] > edges[..., 0]) & (edges[..., 3] > edges[..., 1])
    rows = torch.cat([edges, boxes[..., 4:]], -1).where(left[..., None], boxes.new_tensor(NO_OBJECT))
    order = (~left).to(torch.int64).argsort(dim=-1, stable=True)
    return rows.take_along_dim(order[..., None], -2)


def points_on(placement: Placement, points: Tensor, *, centred: bool) -> Tensor:
    """Points ``(n, joints, 2 or 3)`` on a canvas; those beyond it are not visible, where that is said of them.

    Args:
        placement: of the canvas in the images.
        points: x, y and whether they are visible.
        centred: whether the first pixel's centre is the origin, and not the corner of the frame.
    """
    middle = 0.5 if centred else 0.0
    at = _on(placement, points[..., :2] + middle)
    inside = ((at >= 0) & (at <= placement.side)).all(-1)
    return torch.cat([at - middle, points[..., 2:] * inside[..., None]], -1)


def _on(placement: Placement, points: Tensor) -> Tensor:
    """Positions x, y in the last axis, from the corner of the image, from that of the canvas."""
    (top, left, _, _), (down, right), (above, before) = placement.cut, placement.scale, placement.corner
    return (points - points.new_tensor([left, top])) * points.new_tensor([right, down]) - points.new_tensor(
        [before, above]
    )
