"""The rotated-filter convolution that tutorials copy from one another, as it is printed and as it could be.

Copies of one filter bank, rotated by multiples of 360/n degrees, are convolved with the input, and the results are
averaged over the n rotations, in the hope of an output that does not depend on the input's orientation.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, conv2d, grid_sample

SIDE = 5
"""Of the filters, in pixels."""
DISC = 2.5
"""Radius in pixels of the disc that interpolated copies are kept inside: all but the four corners."""


def rotations(angles: list[float]) -> Tensor:
    """Matrices of ``affine_grid`` that rotate counterclockwise as displayed, ``(k, 2, 3)``; angles in radians."""
    return torch.tensor([[[math.cos(a), -math.sin(a), 0.0], [math.sin(a), math.cos(a), 0.0]] for a in angles])


def interpolated(weight: Tensor, matrix: Tensor, *, padding: str) -> Tensor:
    """Filters ``(out, channels, s, s)`` resampled bilinearly at the places that a ``(2, 3)`` matrix gives."""
    grid = affine_grid(matrix.to(weight.dtype).expand(len(weight), -1, -1), list(weight.shape), align_corners=False)
    return grid_sample(weight, grid, padding_mode=padding, align_corners=False)


class RotConv(nn.Module):
    """What the three have in common: a bank of filters ``(width, channels, 5, 5)`` for all of the n copies."""

    matrices: Tensor

    def __init__(self, channels: int, width: int, *, n: int, stride: int, angles: list[float]) -> None:
        super().__init__()
        self.n = n
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(width, channels, SIDE, SIDE))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.register_buffer("matrices", rotations(angles), persistent=False)

    def convolved(self, x: Tensor, copies: list[Tensor]) -> Tensor:
        """The maps of all copies one after the other, rotation-major, ``(b, n * width, h', w')``."""
        return conv2d(x, torch.cat(copies), stride=self.stride, padding=SIDE // 2)


class PublishedRotConv(RotConv):
    """As commonly printed, repaired only so far that it runs.

    The printed rotation adds a fifth axis to the filters ``(out, channels, s, s)``, and ``affine_grid`` refuses them;
    here it takes them as they are. Three faults are left in, as they are what is to be measured:

    1. The copies are concatenated rotation-major: map ``k * out + o`` is filter ``o`` rotated ``k`` times. The maps
       are reshaped to ``(b, out, n, h, w)`` as if filter-major, so that the mean over n mixes different filters, most
       of them at the same rotation: its outputs depend on the orientation of the input.
    2. Bilinear sampling with zeros beyond the filter takes weight from the corners at all but quarter turns.
    3. The mean over rotations, were the axes right, would leave an isotropic filter, as a mean of convolutions is the
       convolution with the mean (:class:`FixedRotConv`).
    """

    def __init__(self, channels: int, width: int, *, n: int, stride: int) -> None:
        super().__init__(channels, width, n=n, stride=stride, angles=[2 * math.pi * k / n for k in range(n)])

    def copies(self) -> list[Tensor]:
        """The bank at each of the n rotations."""
        return [interpolated(self.weight, matrix, padding="zeros") for matrix in self.matrices]

    def forward(self, x: Tensor) -> Tensor:
        """``(b, channels, h, w)`` to ``(b, width, h', w')``."""
        maps = self.convolved(x, self.copies())
        # (b, n * width, ...) is not (b, width, n, ...): the published reshape, whose axes are the first fault
        return maps.reshape(len(x), -1, self.n, *maps.shape[-2:]).mean(dim=2)


class RightRotConv(RotConv):
    """Copies that quarter turns exchange exactly.

    Of the n rotations those below ``360 / gcd(n, 4)`` degrees are interpolated, with the border's values beyond the
    filter, and kept inside a disc; the others are exact turns of these. So the copies are exchanged bit for bit by
    quarter turns where 4 divides n, by half turns for other even n, by none for odd n. With n = 2 or 4 nothing is
    interpolated, and the disc is left out.
    """

    def __init__(self, channels: int, width: int, *, n: int, stride: int) -> None:
        exact = math.gcd(n, 4)
        super().__init__(channels, width, n=n, stride=stride, angles=[2 * math.pi * k / n for k in range(n // exact)])
        self.exact = exact

    def copies(self) -> list[Tensor]:
        """The bank at each of the n rotations, those of the first ``360 / exact`` degrees first."""
        bases = [self.weight] if self.n == self.exact else [self._inside_disc(matrix) for matrix in self.matrices]
        turns = range(0, 4, 4 // self.exact)
        return [torch.rot90(base, turn, dims=(-2, -1)) for turn in turns for base in bases]

    def _inside_disc(self, matrix: Tensor) -> Tensor:
        copy = interpolated(self.weight, matrix, padding="border")
        axis = torch.arange(SIDE, device=copy.device) - SIDE // 2
        return copy * (axis.square() + axis.square()[:, None] <= DISC**2)


class FixedRotConv(RightRotConv):
    """The mean over rotations, with the axes right: turning the input turns the output.

    But a mean of convolutions is the convolution with the mean of the copies, which is one filter that looks the same
    at each rotation, for n times the cost. It cannot tell a straight line from a bent one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(b, channels, h, w)`` to ``(b, width, h', w')``."""
        return self.convolved(x, self.copies()).unflatten(1, (self.n, -1)).mean(dim=1)


class MaxRotConv(RightRotConv):
    """The largest response over rotations at each place: turning the input turns the output.

    Filters keep their orientation, unlike with the mean; what is lost is which of the copies has answered.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(b, channels, h, w)`` to ``(b, width, h', w')``."""
        return self.convolved(x, self.copies()).unflatten(1, (self.n, -1)).amax(dim=1)


class RotConvNet(nn.Module):
    """Three layers, two of them with stride 2, batch normalisation, ReLU, global average pooling and a linear head.

    With :class:`FixedRotConv` and :class:`MaxRotConv` the logits do not change, up to rounding, under the turns that
    are exact for n (:class:`RightRotConv`), of images whose side stays odd under both strides (33, 17, 9).
    """

    def __init__(self, layer: type[nn.Module], *, shape: tuple[int, ...], outputs: int, width: int, n: int) -> None:
        super().__init__()
        self.features = nn.Sequential()
        for channels, out, stride in ((shape[0], width, 1), (width, 2 * width, 2), (2 * width, 2 * width, 2)):
            self.features.extend([layer(channels, out, n=n, stride=stride), nn.BatchNorm2d(out), nn.ReLU()])
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(b, c, h, w)`` to logits ``(b, outputs)``."""
        out: Tensor = self.head(self.features(x).mean(dim=(-2, -1)))
        return out


published = partial(RotConvNet, PublishedRotConv)
fixed = partial(RotConvNet, FixedRotConv)
maximum = partial(RotConvNet, MaxRotConv)
