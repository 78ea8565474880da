"""Black images with bright rectangles of two shades, and the boxes about them."""

from __future__ import annotations

import torch
from torch import Tensor

from symbench.algebra.objects import NONE
from symbench.domains.common.datasets.base import Arrays, Dataset
from symbench.fields import Boxes, Image

SIDE = 16
SHADES = (0.4, 0.9)
"""Of the two classes."""


def load(split: str = "test", samples: int = 12, channels: int = 1, side: int = SIDE) -> Dataset:
    """Up to four rectangles, one in a quarter of the image each, with room about them; the first image has none."""
    drawn = torch.Generator().manual_seed(int(split == "train"))
    images, boxes = torch.zeros(samples, 1, side, side), torch.tensor(NONE).repeat(samples, 4, 1).double()
    for image, rows in list(zip(images, boxes, strict=True))[1:]:
        count = _one_of(1, 4, drawn)
        for row, quarter in zip(rows[:count], torch.randperm(4, generator=drawn).tolist(), strict=False):
            row[:] = _drawn(image[0], quarter, drawn)
    leaves = {"image": images.expand(-1, channels, -1, -1).clone()}
    return Arrays(leaves, {"boxes": boxes}, fields={"image": Image()}, target_fields={"boxes": Boxes(classes=2)})


def _one_of(low: int, high: int, drawn: torch.Generator) -> int:
    return int(torch.randint(low, high + 1, (), generator=drawn))


def _drawn(image: Tensor, quarter: int, drawn: torch.Generator) -> Tensor:
    """Draw a rectangle into a quarter of an image, and give its row."""
    half, kind = len(image) // 2, _one_of(0, 1, drawn)
    height, width = _one_of(3, half - 3, drawn), _one_of(3, half - 3, drawn)
    top = half * (quarter // 2) + _one_of(1, half - height - 1, drawn)
    left = half * (quarter % 2) + _one_of(1, half - width - 1, drawn)
    image[top : top + height, left : left + width] = SHADES[kind]
    return torch.tensor([left, top, left + width, top + height, 1.0, kind])
