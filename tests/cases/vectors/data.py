"""Images with the place of their brightness for a target, a vector from the centre: x to the right and y up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from symbench.domains.common.datasets.base import Arrays
from symbench.fields import Category, Image, Scalar, Vector

FIELDS = {"vector": Vector(), "scalar": Scalar()}
SIDE = 9


def images(samples: int = 24) -> Tensor:
    """Noise in [0, 1], ``(n, 1, 9, 9)``."""
    return torch.rand(samples, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(5))


def places(pixels: Tensor) -> Tensor:
    """The mean of pixels' places, weighted by their brightness, ``(n, 2)``: it turns as the image does."""
    steps = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    bright = pixels[:, 0].double()
    return torch.stack([(bright * steps).mean((1, 2)), (bright * -steps[:, None]).mean((1, 2))], 1)


def load(split: str = "test", field: str = "vector", maps: bool = False) -> Arrays:
    """The vectors as ``field`` says that they move; or maps of three times the image, which move as it does."""
    del split
    pixels = images()
    target: dict[str, Any] = {"maps": 3 * pixels} if maps else {"place": places(pixels)}
    field_of = Image() if maps else FIELDS[field]
    return Arrays({"image": pixels}, target, fields={"image": Image()}, target_fields=dict.fromkeys(target, field_of))


def upright(label: int, element: Mapping[str, float]) -> bool:
    """A sample that is turned over is of no class."""
    return label >= 0 and element["angle_deg"] != 180.0


def sides(split: str = "test") -> Arrays:
    """Whether the right half is brighter; turned over, images leave accuracy."""
    del split
    pixels = images()
    labels = (places(pixels)[:, 0] > 0).long()
    return Arrays(
        {"image": pixels},
        {"side": labels},
        fields={"image": Image()},
        target_fields={"side": Category(2)},
        valid=upright,
    )
