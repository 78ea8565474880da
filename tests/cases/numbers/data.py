"""Bars with numbers for labels: their brightness; or how high and how wide they are, in two targets."""

from __future__ import annotations

import torch
from bars import Bars
from torch import Tensor

from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Image, Scalar


class Bright(Bars):
    def __getitem__(self, index: int) -> tuple[Tensor, float]:  # type: ignore[override]
        return self.images[index], float(self.images[index].mean())


def load() -> Bright:
    return Bright()


def sizes(split: str = "test") -> Arrays:
    """Standing bars are 7 high and 1 wide, lying ones 1 high and 7 wide."""
    bars = Bars(40 if split == "test" else 64)
    standing = torch.tensor(bars.labels, dtype=torch.float32)
    targets = {"height": 1 + 6 * standing, "width": 7 - 6 * standing}
    return Arrays(
        {"image": bars.images}, targets, fields={"image": Image()}, target_fields=dict.fromkeys(targets, Scalar())
    )
