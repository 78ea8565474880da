"""Interpolating kernels, and weighted sums of pixels by them: bicubic, and whatever is reduced (antialiasing)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from symbench.base.environment import sent

AT_ONCE = 1 << 22
"""Weights that are made at once: more of them cost memory and save no time."""


def kernel(distance: Tensor, *, cubic: bool) -> Tensor:
    """The weight of a pixel at this distance: the triangle of bilinear interpolation, or Keys' cubic with a = -1/2.

    Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29 (1981): of all a, -1/2
    alone reproduces quadratic images, which makes it exact to third order. Pillow and torch resize by it, and so do
    we what a model is shown. ``grid_sample`` has -3/4 and no choice, hence its absence here: by -3/4, turning twice
    is off from turning once by 1.6e-2 on smooth blobs (by -1/2: 1.2e-3), by 1.6e-2 on digits that fill the frame
    (5.0e-3) and by 4.0e-2 on band-limited noise (3.5e-2). On white noise they are alike (0.33).
    """
    if not cubic:
        return (1 - distance).clamp(min=0)
    near = (1.5 * distance - 2.5) * distance.square() + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))


def radius(*, cubic: bool) -> int:
    """The distance from which :func:`kernel` is 0."""
    return 2 if cubic else 1


def folded(index: Tensor, length: int, border: str) -> Tensor:
    """The pixel of an axis that stands for each index, int64; -1 for those beyond its ends that the fill stands for.

    ``reflect`` mirrors about the outermost pixel's centre: ``2 1 0 1 2``.
    """
    if border == "circular":
        return torch.remainder(index, length)
    if border == "reflect":
        period = max(1, 2 * (length - 1))
        there = torch.remainder(index, period)
        return torch.minimum(there, period - there)
    return torch.where((index >= 0) & (index < length), index, -1)


@dataclass(frozen=True)
class Filters:
    """A separable filter about every place that an element takes a pixel from.

    Attributes:
        nearest: the whole pixels at or before the places, as (row, column), int32 ``(items, h, w, 2)``.
        beyond: how far the places lie beyond these, in [0, 1].
        widths: by how much each item's kernel is widened, ``(items,)``, 1 or more.
        reaches: how many pixels each item's kernel reaches either way.
    """

    nearest: Tensor
    beyond: Tensor
    widths: Tensor
    reaches: Sequence[float]

    @classmethod
    def of(cls, sources: Tensor, widths: Tensor, dtype: torch.dtype, device: torch.device) -> Filters:
        """Of places ``(items, h, w, 2)`` in pixels, float64: whole pixels are taken off before rounding."""
        nearest = sources.floor()
        beyond = (sources - nearest).to(device, dtype)
        widths = widths.to(dtype)
        return cls(nearest.to(device, torch.int32), beyond, sent(widths, device), widths.tolist())

    def read(self, x: Tensor, which: Sequence[int] | int, *, border: str, cubic: bool) -> Tensor:
        """Images ``(n, c, h, w)``, each filtered about the places of the item of its number; beyond the edge is 0."""
        n, c, height, width = x.shape
        items = [which] if isinstance(which, int) else sorted(set(which))
        together = n if len(items) == 1 else 1  # images with the same weights are summed side by side
        pixels = x.unflatten(0, (-1, together)).permute(0, 3, 4, 1, 2)  # (images, h, w, together, c)
        table = pixels.reshape(-1, together * c).contiguous()  # rows as they are summed: six times faster
        pieces = self._pieces(items if len(items) == 1 or isinstance(which, int) else which, radius(cubic=cubic))
        out = torch.cat([_summed(table, (height, width), *piece, border=border, cubic=cubic) for piece in pieces])
        return out.view(-1, height, width, together, c).permute(0, 3, 4, 1, 2).reshape(x.shape)

    def _pieces(self, chosen: Sequence[int], radius: int) -> Iterator[tuple[Tensor, ...]]:
        """The pixels of the chosen items, few at a time: taps, image, ``nearest``, ``beyond`` and ``widths``.

        Taps are the pixels that the widest kernel reaches, from the one at or before its place on, int64.
        """
        each = self.nearest[0, ..., 0].numel()
        rows = sent(torch.tensor(chosen), self.nearest.device)
        widths = self.widths.index_select(0, rows)
        reach = math.ceil(radius * max(self.reaches[item] for item in chosen))
        taps = torch.arange(1 - reach, reach + 1, device=rows.device)
        parts = (
            torch.arange(len(chosen), device=rows.device).repeat_interleave(each),
            self.nearest.index_select(0, rows).reshape(-1, 2),
            self.beyond.index_select(0, rows).reshape(-1, 2),
            widths.repeat_interleave(each),
        )
        few = max(1, AT_ONCE // len(taps) ** 2)
        for piece in zip(*(part.split(few) for part in parts), strict=True):
            yield taps, *piece


def _summed(
    table: Tensor,
    size: tuple[int, int],
    taps: Tensor,
    image: Tensor,
    nearest: Tensor,
    beyond: Tensor,
    widths: Tensor,
    *,
    border: str,
    cubic: bool,
) -> Tensor:
    """Weighted sums of rows of ``table`` ``(images * h * w, d)``, one for each of p pixels; ``(p, d)``."""
    places, weights = [], []
    for axis, length in enumerate(size):
        weight = kernel((taps - beyond[:, axis, None]).abs() / widths[:, None], cubic=cubic)  # (p, taps)
        place = folded(nearest[:, axis, None] + taps, length, border)
        places.append(place.clamp(min=0))
        weights.append(torch.where(place < 0, 0.0, weight / weight.sum(-1, keepdim=True)))
    index = (image[:, None, None] * size[0] + places[0][:, :, None]) * size[1] + places[1][:, None, :]
    weight = weights[0][:, :, None] * weights[1][:, None, :]
    return embedding_bag(index.flatten(1), table, mode="sum", per_sample_weights=weight.flatten(1).to(table))
