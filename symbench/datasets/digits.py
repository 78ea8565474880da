"""scikit-learn's handwritten digits: 1,797 real images that come with its wheel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn.functional import interpolate, pad

from symbench.datasets.base import Arrays
from symbench.fields import Category, Image

TEST_SAMPLES = 450


def load(*, split: str, size: int) -> Arrays:
    """The digits, brought from 8 x 8 to ``size`` x ``size`` (bicubic) with a black margin of an eighth.

    33 pixels stay odd under stride 2 (33, 17, 9), so that quarter turns are exact for a strided network, and
    divide into 3 x 3 patches. The margin lets shifts and turns lose nothing. The split is fixed.

    Args:
        split: ``train`` (1,347) or ``test`` (450).
        size: pixels a side, odd or even.
    """
    from sklearn.datasets import load_digits

    raw = load_digits()
    order = np.random.RandomState(0).permutation(len(raw.target))
    chosen = order[:TEST_SAMPLES] if split == "test" else order[TEST_SAMPLES:]
    images = torch.from_numpy(raw.images[chosen]).float()[:, None] / 16
    margin = size // 8
    inner = interpolate(images, size=(size - 2 * margin,) * 2, mode="bicubic", align_corners=False).clamp(0, 1)
    return Arrays(
        {"image": pad(inner, (margin,) * 4)},
        {"label": torch.from_numpy(raw.target[chosen]).long()},
        fields={"image": Image()},
        target_fields={"label": Category(10)},
        classes=[str(digit) for digit in range(10)],
        valid=readable,
    )


def readable(digit: int, element: Mapping[str, float]) -> bool:
    """Whether a digit is still itself: a 6 or a 9 that is turned by 135 to 225 degrees reads as the other."""
    angle = next((value for key, value in element.items() if key.endswith("angle_deg")), 0.0)
    mirrored = any(value for key, value in element.items() if key.endswith("mirror"))
    return mirrored or digit not in {6, 9} or abs(angle % 360 - 180) > 45
