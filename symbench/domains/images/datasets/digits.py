"""scikit-learn's handwritten digits: 1,797 real images that come with its wheel."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from symbench.algebra.fields import Category, Classes, classes
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.images.fields import Image

TEST_SAMPLES = 450
FRAME = 11
"""Pixels of the 8 x 8 originals that a whole image spans: one and a half black ones on every side of them."""
TURNED = classes({"turn": [1, 2, 3, 0]}, group="C4")
"""How often an image was turned by 90 degrees: once more after another turn."""
OVERTURNED = classes({"turn": [1, 0]}, group="C2")
"""Whether a 6 was turned over: a half turn more takes one to the other."""


def load(*, split: str, size: int, upside_down: str = "another", label: str = "digit") -> Arrays:
    """The digits, brought from 8 x 8 to ``size`` x ``size`` (bicubic) with a black margin of about an eighth.

    33 pixels stay odd under stride 2 (33, 17, 9), so that quarter turns are exact for a strided network, and
    divide into 3 x 3 patches. The margin lets shifts and turns lose nothing. The split is fixed.

    Args:
        split: ``train`` (1,347) or ``test`` (450).
        size: pixels a side, odd or even.
        upside_down: what a 6 that is turned over is: no 6 to be learnt or measured (``another``), or one that is to
            be recognised all the same (``the same``), so that the law of the data is as symmetric as the group.
        label: what is asked of an image: which ``digit`` it shows; its ``orientation``, 0 to 3 for the quarter turns
            by which each was turned, drawn once and for all; or whether a 6 is an ``overturned-six`` (1) or upright
            (0), where every 6 is there both ways. The last two move with the image, and an invariant model cannot
            tell them: their labels are permuted by C4 and by C2.
    """
    pixels, target = _originals()
    order = np.random.RandomState(0).permutation(len(target))
    chosen = order[:TEST_SAMPLES] if split == "test" else order[TEST_SAMPLES:]
    images = _enlarged(torch.from_numpy(pixels[chosen]).float()[:, None] / 16, size)
    digits = torch.from_numpy(target[chosen]).long()
    if label == "orientation":
        turns = np.random.RandomState(1).randint(4, size=len(target))[chosen]
        return _posed(images, torch.from_numpy(turns).long(), 1, TURNED, ["0°", "90°", "180°", "270°"])
    if label == "overturned-six":
        sixes = images[digits == 6]
        over = torch.arange(2).repeat_interleave(len(sixes))
        return _posed(sixes.repeat(2, 1, 1, 1), over, 2, OVERTURNED, ["6", "turned 6"])
    return Arrays(
        {"image": images},
        {"label": digits},
        fields={"image": Image()},
        target_fields={"label": Category(10)},
        classes=[str(digit) for digit in range(10)],
        valid=readable if upside_down == "another" else None,
    )


def _posed(images: Tensor, label: Tensor, quarters: int, moves: Classes, names: list[str]) -> Arrays:
    """Images ``(n, c, h, h)``, each turned ``quarters`` quarter turns counterclockwise as often as its label says."""
    turned = torch.stack(
        [torch.rot90(image, quarters * k, dims=(-2, -1)) for image, k in zip(images, label.tolist(), strict=True)]
    )
    return Arrays(
        {"image": turned},
        {"label": label},
        fields={"image": Image()},
        target_fields={"label": moves},
        classes=names,
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
