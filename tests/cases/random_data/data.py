"""Bars whose brightness is another every time, as behind random transforms; and others that are random elsewhere."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch
from bars import Bars
from torch import Tensor


def by_torch() -> float:
    return float(torch.rand(()))


def by_numpy() -> float:
    return float(np.random.rand())  # noqa: NPY002  (many transforms draw from NumPy's global generator)


def by_python() -> float:
    return random.random()


def by_its_own() -> float:
    return float(np.random.default_rng().random())


DRAWS = {"torch": by_torch, "numpy": by_numpy, "python": by_python, "own": by_its_own}


class Flickering(Bars):
    """Bars, every image brighter by up to a tenth each time it is read."""

    def __init__(self, count: int, draw: Callable[[], float]) -> None:
        super().__init__(count)
        self.draw = draw

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = super().__getitem__(index)
        return (image + 0.1 * self.draw()).clamp(0, 1), label


class Doubtful(Bars):
    """Bars of which one in three is called lying or standing at random."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = super().__getitem__(index)
        return image, label if index % 3 else int(torch.randint(2, ()))


def load(split: str = "test", draw: str = "torch") -> Bars:
    return Flickering(8, DRAWS[draw]) if split == "train" else Bars(40)


def flickering(split: str = "test", draw: str = "torch") -> Bars:
    return Flickering(40, DRAWS[draw])


def doubtful(split: str = "test") -> Bars:
    return Doubtful(40)
