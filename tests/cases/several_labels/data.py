"""Bars that lie, stand or cross, with a label for each, and one for a bright corner; as 0 and 1, or as lists."""

from __future__ import annotations

import torch
from torch import Tensor

CLASSES = ["lying", "standing", "corner"]


def images(count: int) -> tuple[Tensor, Tensor]:
    """``(count, 1, 15, 15)`` and which labels are there, ``(count, 3)`` of 0 and 1; one in nine by mistake."""
    generator = torch.Generator().manual_seed(1)
    pixels = 0.2 * torch.rand(count, 1, 15, 15, generator=generator)
    there = (torch.rand(count, 3, generator=generator) < 0.5).float()
    pixels[:, 0, 7, 4:11] += 0.5 * there[:, :1]
    pixels[:, 0, 4:11, 7] += 0.5 * there[:, 1:2]
    pixels[:, 0, 0, 0] += 0.3 * there[:, 2]
    mistaken = (torch.rand(count, 3, generator=generator) < 1 / 9).float()
    return pixels.clamp(0, 1), (there - mistaken).abs()


class Marked:
    def __init__(self, count: int, kind: str) -> None:
        self.images, self.there = images(count)
        self.kind = kind
        self.classes = CLASSES

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor | list[int]]:
        there = self.there[index]
        return self.images[index], there if self.kind == "floats" else there.nonzero().flatten().tolist()


def load(kind: str = "floats", split: str = "test") -> Marked:
    return Marked(60 if split == "test" else 200, kind)
