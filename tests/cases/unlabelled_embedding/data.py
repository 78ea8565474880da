"""The bars without their labels: by themselves, or with None where a label would be."""

from __future__ import annotations

from bars import Bars
from torch import Tensor


class Unlabelled(Bars):
    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
        return self.images[index]


def load() -> Unlabelled:
    return Unlabelled()


def with_none() -> list[tuple[Tensor, None]]:
    return [(image, None) for image in Bars().images]
