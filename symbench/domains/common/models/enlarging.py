"""The way back up of a U-Net: maps enlarged to what they were before a stride halved them, and joined with it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def enlarged(x: Tensor, halved: list[Tensor], up: Iterable[nn.Module]) -> Tensor:
    """Maps ``(n, c, *grid)`` joined with one after the other of what was there before, the last first.

    Args:
        x: the smallest.
        halved: what each stride has halved, in order.
        up: what comes behind each joining, in the order of use.
    """
    for layers, beside in zip(up, reversed(halved), strict=True):
        for axis in range(2 - x.ndim, 0):
            x = between(x, beside.shape[axis], axis)
        x = layers(torch.cat([beside, x], dim=1))
    return x


def between(x: Tensor, side: int, axis: int) -> Tensor:
    """Maps enlarged along an axis to an even ``side``, every place twice; or to an odd one, by means in between."""
    if side % 2 == 0:
        return x.repeat_interleave(2, axis)
    count = x.shape[axis]
    first, last = x.narrow(axis, 0, count - 1), x.narrow(axis, count - 1, 1)
    middle = (first + x.narrow(axis, 1, count - 1)) / 2
    return torch.cat([torch.stack([first, middle], axis).flatten(axis - 1, axis), last], axis)
