"""Boxes and named points that are written otherwise than they are declared, as they are declared."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.fields import Boxes, Keypoints
from symbench.algebra.fields.plane import Framed
from symbench.algebra.objects import CLASS, EDGES, NONE


def _sides(value: Framed) -> tuple[float, float]:
    """Width and height of the frame."""
    height, width = value.frame or (1, 1)
    return float(width), float(height)


def _rows(edges: list[Tensor], rows: Tensor) -> Tensor:
    """Boxes with other edges; rows that are no object stay so."""
    found = torch.cat([torch.stack(edges, -1), rows[..., EDGES.stop :]], -1)
    return torch.where(rows[..., CLASS, None] < 0, found.new_tensor(NONE), found)


def boxes_y_first(rows: Tensor, value: Boxes) -> Tensor:
    """Of top, left, bottom, right."""
    del value
    top, left, bottom, right = rows[..., EDGES].unbind(-1)
    return _rows([left, top, right, bottom], rows)


def boxes_y_up(rows: Tensor, value: Boxes) -> Tensor:
    """Of left, lower, right and upper edge, with y up from the lower edge of the frame."""
    height = _sides(value)[1]
    left, lower, right, upper = rows[..., EDGES].unbind(-1)
    return _rows([left, height - upper, right, height - lower], rows)


def boxes_sized(rows: Tensor, value: Boxes) -> Tensor:
    """Of left, top, width, height."""
    del value
    left, top, width, height = rows[..., EDGES].unbind(-1)
    return _rows([left, top, left + width, top + height], rows)


def points_y_first(points: Tensor, value: Keypoints) -> Tensor:
    """Of y, x."""
    del value
    return torch.cat([points[..., :2].flip(-1), points[..., 2:]], -1)


def points_y_up(points: Tensor, value: Keypoints) -> Tensor:
    """With y up from the lower edge of the frame, or from the middle of its last row."""
    height = _sides(value)[1] - (0 if value.origin == "corner" else 1)
    return torch.cat([points[..., :1], height - points[..., 1:2], points[..., 2:]], -1)


def points_in_parts(points: Tensor, value: Keypoints) -> Tensor:
    """In parts of the frame's sides."""
    sides = points.new_tensor(_sides(value)) - (0 if value.origin == "corner" else 1)
    return torch.cat([points[..., :2] * sides, points[..., 2:]], -1)


def points_of_the_other_origin(points: Tensor, value: Keypoints) -> Tensor:
    """From the first pixel's middle where the frame's corner is declared, and the other way round."""
    half = 0.5 if value.origin == "corner" else -0.5
    return torch.cat([points[..., :2] + half, points[..., 2:]], -1)
