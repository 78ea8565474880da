"""Four images of 8 x 8 with ground, a left and a right side, boxes and two joints."""

import torch

from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Boxes, Category, Field, Grid, Image, Keypoints, classes

GRID = Grid("image")


def _made(name: str, field: Field, target: torch.Tensor) -> Arrays:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return Arrays({"image": images}, {name: target}, fields={"image": Image()}, target_fields={name: field})


def _sides() -> torch.Tensor:
    maps = torch.zeros(4, 8, 8, dtype=torch.int64)
    maps[:, 2:6, 1:3], maps[:, 2:6, 5:7] = 1, 2
    return maps


def plain(split: str = "test") -> Arrays:
    del split
    return _made("masks", Category(3).over(GRID), _sides())


def ordered(split: str = "test") -> Arrays:
    del split
    return _made("masks", classes({"flip": [0, 2, 1]}).over(GRID), _sides())


def objects(split: str = "test") -> Arrays:
    del split
    return _made("boxes", Boxes(1), torch.tensor([[1.0, 1, 4, 5, 1, 0]], dtype=torch.float64).expand(4, 1, 6))


def joints(split: str = "test") -> Arrays:
    del split
    there = torch.tensor([[2.0, 3.0, 1.0], [6.0, 3.0, 1.0]], dtype=torch.float64)
    return _made("joints", Keypoints(((0, 1),), "centre"), there.expand(4, 2, 3))
