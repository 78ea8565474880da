"""The bars with labels as binary losses want them, floats of 0 and 1; and a split to train on."""

from __future__ import annotations

from bars import Bars
from torch import Tensor


class Floats(Bars):
    def __getitem__(self, index: int) -> tuple[Tensor, float]:  # type: ignore[override]
        image, label = super().__getitem__(index)
        return image, float(label)


def load(split: str = "test") -> Floats:
    return Floats(40 if split == "test" else 64)
