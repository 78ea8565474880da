"""Models whose equivariance error is known in closed form: what the harness itself is calibrated against.

A sample of :class:`Marked` says who it is in a way that no group here touches, and how it lies in a way that every
one does. :class:`KnownError` reads off both, and gives the second the weight that makes for the error asked for.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from symbench.algebra.fields import Field, Nodes, Scalar
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.images.fields import Image

Reading = Literal["place", "angle", "shift", "scale", "row"]
"""How a model reads off how a sample lies: which pixel is lit, the direction or the place of a spot in pixels, the
size of a spot in units of its own, or which row is marked."""

WIDTH = 3.0
"""Standard deviation of every spot in pixels: smooth enough to be resampled without loss."""


def known_error(weight: float, squared_reading: float) -> float:
    """``E = sqrt(w^2 d / (2 + w^2 d))`` with d the mean squared change of the reading over the elements k > 0.

    The deviation is ``w^2 d``; two samples differ by 2 in who they are, and by that again in how they lie.

    Args:
        weight: w, of the reading beside who the sample is.
        squared_reading: d: 2 where a lit pixel moves; ``4 sin^2(a / 2)`` for an angle a; ``|shift|^2`` in pixels;
            ``(factor - 1)^2`` for a scale.
    """
    scaled = weight**2 * squared_reading
    return math.sqrt(scaled / (2 + scaled))


class Marked(Arrays):
    """Samples of who they are and how they lie: images of ``samples + 1`` channels, or sets of as many features.

    Channel i holds a centred spot for sample i alone; the last channel is the mark, the same for all: a lit pixel
    (``pixel``) or a spot off the centre (``spot``) or at it (``centre``). In a set the last feature marks row 0.
    """

    def __init__(
        self, mark: Literal["pixel", "spot", "centre", "row"] = "pixel", *, samples: int = 8, size: int = 33
    ) -> None:
        if mark == "row":
            rows = torch.zeros(samples, size, samples + 1)
            rows[range(samples), :, range(samples)] = 1.0
            rows[:, 0, samples] = 1.0
            super().__init__({"set": rows}, {}, fields={"set": Nodes("items", Scalar())}, target_fields={})
            return
        images = torch.zeros(samples, samples + 1, size, size)
        images[range(samples), range(samples)] = _spot(size, 0.0)
        images[:, samples] = _mark(mark, size)
        super().__init__({"image": images}, {}, fields={"image": Image()}, target_fields={})


def _spot(size: int, right: float) -> Tensor:
    """A Gaussian spot of height 1, ``right`` pixels from the centre, ``(size, size)``."""
    # From the centre that elements turn about, which lies between pixels where the size is even.
    pixels = torch.arange(size) - (size - 1) / 2
    return torch.exp(-(pixels[:, None].square() + (pixels - right).square()) / (2 * WIDTH**2))


def _mark(mark: str, size: int) -> Tensor:
    """The image of a mark, ``(size, size)``."""
    if mark != "pixel":
        return _spot(size, size / 6 if mark == "spot" else 0.0)
    image = torch.zeros(size, size)
    image[size // 8, size // 3] = 1.0  # on no axis of symmetry
    return image


class KnownError(nn.Module):
    """A model whose equivariance error is known: it returns who a sample is and, times a weight, how it lies.

    As ``code``, which no group should move, its equivariance error is that of :func:`known_error`. Images also come
    out as ``maps``, which should move along, beside a pattern that does not: for the reading ``place`` of the same
    error.
    """

    def __init__(self, reading: Reading, weight: float) -> None:
        super().__init__()
        self.reading = reading
        self.weight = nn.Parameter(torch.tensor(float(weight)))
        self.inputs: dict[str, Field] = {"set": Nodes("items", Scalar())} if reading == "row" else {"image": Image()}
        self.outputs: dict[str, Field] = {"code": Scalar(), "size": Scalar()}
        if reading == "place":
            self.outputs["maps"] = Image()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The outputs for images ``(n, c, h, w)`` or sets ``(n, rows, c)``, by name."""
        if self.reading == "row":
            who, how = x[..., :-1].mean(1), x[..., -1]
            return {"code": torch.cat([who, self.weight * how], 1), "size": x.sum((1, 2))[:, None]}
        spots, mark = x[:, :-1], x[:, -1]
        spot = _spot(x.shape[-1], 0.0).to(x)
        who = spots.sum((2, 3))
        # Divided by the sum, which resampling changes: what is left is who the sample is, and no element moves it.
        who = who / who.sum(1, keepdim=True)
        outputs = {"code": torch.cat([who, self.weight * self._how(mark)], 1), "size": x.sum((1, 2, 3))[:, None]}
        if self.reading == "place":
            pattern = (self.weight * _mark("pixel", x.shape[-1]).to(x)).expand(len(x), 1, -1, -1)
            outputs["maps"] = torch.cat([spots / spot.square().sum().sqrt(), pattern], 1)
        return outputs

    def _how(self, mark: Tensor) -> Tensor:
        """Read off how the mark lies: images ``(n, h, w)`` to numbers ``(n, d)`` that the group's elements change."""
        if self.reading == "place":
            return mark.flatten(1)
        size = mark.shape[-1]
        pixels = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2).to(mark)
        share = mark / mark.sum((1, 2), keepdim=True)
        down, right = (share.sum(2) * pixels).sum(1), (share.sum(1) * pixels).sum(1)
        if self.reading == "scale":
            # The second moment of a Gaussian spot is 2 width^2: its root is how many times the spot was enlarged.
            spread = (share.sum(2) * pixels.square()).sum(1) + (share.sum(1) * pixels.square()).sum(1)
            return (spread / (2 * WIDTH**2)).sqrt()[:, None]
        centroid = torch.stack([down, right], 1)
        return centroid / (size / 6) if self.reading == "angle" else centroid
