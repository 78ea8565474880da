"""scikit-learn's handwritten digits: 1,797 real images that come with its wheel."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from symbench.algebra.fields import Category
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.images.fields import Image

TEST_SAMPLES = 450
FRAME = 11
"""Pixels of the 8 x 8 originals that a whole image spans: one and a half black ones on every side of them."""


def load(*, split: str, size: int, upside_down: str = "another") -> Arrays:
    """The digits, brought from 8 x 8 to ``size`` x ``size`` (bicubic) with a black margin of about an eighth.

    33 pixels stay odd under stride 2 (33, 17, 9), so that quarter turns are exact for a strided network, and
    divide into 3 x 3 patches. The margin lets shifts and turns lose nothing. The split is fixed.

    Args:
        split: ``train`` (1,347) or ``test`` (450).
        size: pixels a side, odd or even.
        upside_down: what a 6 that is turned over is: no 6 to be learnt or measured (``another``), or one that is to
            be recognised all the same (``the same``), so that the law of the data is as symmetric as the group.
    """
    pixels, target = _originals()
    order = np.random.RandomState(0).permutation(len(target))
    chosen = order[:TEST_SAMPLES] if split == "test" else order[TEST_SAMPLES:]
    images = torch.from_numpy(pixels[chosen]).float()[:, None] / 16
    return Arrays(
        {"image": _enlarged(images, size)},
        {"label": torch.from_numpy(target[chosen]).long()},
        fields={"image": Image()},
        target_fields={"label": Category(10)},
        classes=[str(digit) for digit in range(10)],
        valid=readable if upside_down == "another" else None,
    )


def _originals() -> tuple[np.ndarray, np.ndarray]:
    """Images ``(n, 8, 8)`` from 0 to 16, and what they show ``(n,)``."""
    # Not load_digits: scikit-learn takes a second to import, on each run of a suite that has nothing left to do.
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("scikit-learn, which brings the digits along, is not installed")
    file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    rows = np.loadtxt(file, delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(int)


def _enlarged(images: Tensor, size: int) -> Tensor:
    """The originals ``(n, 1, 8, 8)`` enlarged and put amid black, ``(n, 1, size, size)``.

    The originals touch their upper and lower edge. So the black around them takes part in the interpolation, and ink
    fades out over half a pixel of theirs: with the margin added to what was resized, every digit would be cut off
    hard, always at the same phase of a stride, and a network that learnt this would lose half its accuracy to a
    shift by one pixel up or down and nothing to one sideways.
    """
    side = images.shape[-1]
    scale = FRAME / side
    frame = torch.tensor([[[scale, 0, 0], [0, scale, 0]]], dtype=torch.float64)
    grid = affine_grid(frame, [1, 1, size, size], align_corners=False).expand(len(images), -1, -1, -1)
    large = grid_sample(images.double(), grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    ink = grid.abs().amax(-1) < 1 + 1 / side  # +-1 is their edge; beyond half a pixel are only ghosts, of 1 %
    return large.mul(ink[:, None]).clamp(0, 1).float()


def readable(digit: int, element: Mapping[str, float]) -> bool:
    """Whether a digit is still itself: a 6 or a 9 that is turned by 135 to 225 degrees reads as the other."""
    angle = next((value for key, value in element.items() if key.endswith("angle_deg")), 0.0)
    mirrored = any(value for key, value in element.items() if key.endswith("mirror"))
    return mirrored or digit not in {6, 9} or abs(angle % 360 - 180) > 45
