"""Convolutions over turns and mirrors: Cohen & Welling, "Group Equivariant Convolutional Networks", 2016.

Feature maps of a group G are ``(n, channels * |G|, h, w)``: for every channel one map for each element of G, its
*orientations*, in their order. Moving the input by g moves every map by g, and carries orientation h to g h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d


@dataclass(frozen=True)
class PlaneGroup:
    """A subgroup of D4, the turns and mirrors of a square.

    Attributes:
        elements: ``(mirror, turn)``: a left-right flip or none, and then so many quarter turns counterclockwise. The
            identity comes first.
    """

    elements: tuple[tuple[int, int], ...]

    @property
    def order(self) -> int:
        """How many elements it has."""
        return len(self.elements)

    def moved(self, x: Tensor, g: int) -> Tensor:
        """The last two axes of ``x``, moved by element number ``g``; square where that is a quarter turn."""
        mirror, turn = self.elements[g]
        return torch.rot90(x.flip(-1) if mirror else x, turn, dims=(-2, -1))

    def compose(self, g: int, h: int) -> int:
        """The number of ``g h``: first ``h``, then ``g``. A mirror turns what follows it the other way."""
        (mirror, turn), (mirror_h, turn_h) = self.elements[g], self.elements[h]
        return self.elements.index(((mirror + mirror_h) % 2, (turn + (-turn_h if mirror else turn_h)) % 4))

    def origins(self, g: int) -> list[int]:
        """For every ``h`` the number of ``g^-1 h``: which orientation ``g`` carries to ``h``."""
        return sorted(range(self.order), key=lambda h: self.compose(g, h))


C4 = PlaneGroup(tuple((0, turn) for turn in range(4)))
D4 = PlaneGroup(tuple(product(range(2), range(4))))
D2 = PlaneGroup(tuple(product(range(2), (0, 2))))
"""Left-right and up-down flips and the half turn: as many elements as C4, and no quarter turn among them."""


class GroupConv(nn.Module):
    """A 3x3 convolution over translations and the elements of a group.

    Args:
        group: the group.
        channels: of the input, each with ``orientations`` maps.
        width: channels of the output, each with ``group.order`` maps.
        orientations: 1 for an image (a lifting convolution), ``group.order`` for the maps of another convolution.
        stride: 1 or 2. On an even side the places that a stride of 2 keeps are not symmetric about the centre.
        pools_even: halve even sides by the mean of two neighbours, which is symmetric, in place of the stride.
    """

    def __init__(
        self, group: PlaneGroup, channels: int, width: int, *, orientations: int, stride: int, pools_even: bool = True
    ) -> None:
        super().__init__()
        self.group = group
        self.stride = stride
        self.pools_even = pools_even
        self.weight = nn.Parameter(torch.empty(width, channels, orientations, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def moved_weight(self) -> Tensor:
        """The filters moved by every element, ``(width * |G|, channels * orientations, 3, 3)``."""
        return torch.stack([self._moved_by(g) for g in range(self.group.order)], dim=1).flatten(0, 1).flatten(1, 2)

    def _moved_by(self, g: int) -> Tensor:
        weight = self.group.moved(self.weight, g)
        if weight.shape[2] == 1:
            return weight
        maps = weight.unbind(
            2
        )  # put together again from slices: an index tensor would be copied to the GPU each time
        return torch.stack([maps[origin] for origin in self.group.origins(g)], dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels * orientations, h, w)`` to ``(n, width * |G|, h', w')``."""
        stride = [self.stride] * 2
        if self.stride == 2 and self.pools_even:
            stride = [1 + side % 2 for side in x.shape[-2:]]
            if stride != [2, 2]:
                x = avg_pool2d(x, [3 - each for each in stride])
        return conv2d(x, self.moved_weight(), stride=stride, padding=1)


class OrbitNorm(nn.Module):
    """Batch normalisation with one mean and variance for all orientations of a channel."""

    def __init__(self, width: int, order: int) -> None:
        super().__init__()
        self.order = order
        self.norm = nn.BatchNorm3d(width)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, width * order, h, w)``, shape kept."""
        out: Tensor = self.norm(x.unflatten(1, (-1, self.order)))
        return out.flatten(1, 2)


class PlaneGroupCnn(nn.Module):
    """A lifting convolution, three group convolutions, the mean over places and the maximum over orientations.

    The logits do not change under the group's elements, up to rounding. Two of the convolutions halve the image.
    """

    def __init__(
        self, group: PlaneGroup, *, shape: tuple[int, ...], outputs: int, width: int, pools_even: bool = True
    ) -> None:
        super().__init__()
        self.order = group.order

        def block(channels: int, width: int, *, orientations: int, stride: int) -> list[nn.Module]:
            size = {"orientations": orientations, "stride": stride}
            convolution = GroupConv(group, channels, width, **size, pools_even=pools_even)
            return [convolution, OrbitNorm(width, group.order), nn.ReLU()]

        self.features = nn.Sequential(
            *block(shape[0], width, orientations=1, stride=1),
            *block(width, 2 * width, orientations=group.order, stride=2),
            *block(2 * width, 2 * width, orientations=group.order, stride=2),
            *block(2 * width, 2 * width, orientations=group.order, stride=1),
        )
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        maps = self.features(x).unflatten(1, (-1, self.order))  # (n, width, |G|, h, w)
        out: Tensor = self.head(maps.mean(dim=(-2, -1)).amax(dim=2))
        return out
