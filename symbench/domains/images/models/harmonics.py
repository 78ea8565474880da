"""Circular harmonics sampled on a pixel grid: what steerable filters are made of.

A function ``R(r) exp(i m phi)`` turned by an angle t is itself times ``exp(-i m t)``, so a filter that is a sum of
such functions is turned by any angle without interpolation: Weiler, Hamprecht & Storath, "Learning Steerable Filters
for Rotation Equivariant CNNs", 2018. What sampling does to that is undone here as far as a small grid permits.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d

Array = NDArray[np.float64]

DEGREE = 4
"""Of the polynomials whose responses turn as they should; they see no higher orders, which are therefore left out."""
SIGMA_PX = 0.6
"""Width of the Gaussian rings that profiles are made of, one at each whole radius."""
DECIMALS = 12
"""Kept of every number, so that the filters are the same bits whatever computes exponentials and inverses."""


def harmonics(kernel: int, order: int) -> Array:
    """``R(r) cos(m phi)`` and ``R(r) sin(m phi)`` for some orthogonal profiles R, ``(profiles, 2, kernel, kernel)``.

    A square grid cannot tell order m from m - 4: their waves agree wherever the angle is a multiple of 90 degrees. So
    ``cos(4 phi)`` answers to a constant, and of order 2 the cosine and the sine answer to a bend of the image with
    unequal strength, however smooth it is. The profiles are chosen such that this is 0 for polynomials up to
    :data:`DEGREE`: a turned filter answers to one as the filter does to the one turned back, at any angle.

    Quarter turns and mirrors permute the pixels' values and change their signs, bit for bit, since values come of
    whole radii and of products of coordinates. So these symmetries hold in any dtype that filters are rounded to.

    Args:
        kernel: pixels a side, odd.
        order: m; of negative ones the sine is negated. The angle grows counter-clockwise as displayed.
    """
    x, y = _grid(kernel)
    square = x * x + y * y
    inside = (4 * square <= kernel**2) & ((square > 0) | (order == 0))  # a square's corners would turn into nothing
    squares, ring = np.unique(square[inside], return_inverse=True)
    profiles = _profiles(kernel, abs(order), squares.astype(np.float64))
    radial = np.zeros((len(profiles), kernel, kernel))
    radial[:, inside] = profiles[:, ring]
    return radial[:, None] * _wave(kernel, order)


def turned(kernel: int, turns: int) -> Array:
    """All harmonics, turned by ``360 k / turns`` degrees counter-clockwise; ``(turns, functions, kernel, kernel)``.

    Quarter turns among them are made of one another by turning the grid, so that they hold to the last bit.
    """
    exact = math.gcd(turns, 4)
    first = np.stack([_at_angle(kernel, 2 * math.pi * k / turns) for k in range(turns // exact)])
    return np.concatenate([np.rot90(first, k * 4 // exact, (-2, -1)) for k in range(exact)])


def _at_angle(kernel: int, angle: float) -> Array:
    """``cos m(phi - angle)`` and ``sin m(phi - angle)``, all profiles and orders, ``(functions, kernel, kernel)``."""
    functions = []
    for order in range(DEGREE + 1):
        cosine, sine = harmonics(kernel, order).swapaxes(0, 1)
        c, s = math.cos(order * angle), math.sin(order * angle)
        functions += [c * cosine + s * sine] + ([c * sine - s * cosine] if order else [])
    return np.concatenate(functions).round(DECIMALS)


def _grid(kernel: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Coordinates of the pixels, x to the right and y up."""
    places = np.arange(kernel) - kernel // 2
    down, across = np.meshgrid(places, places, indexing="ij")
    return across, -down


def _wave(kernel: int, order: int) -> Array:
    """``cos(m phi)`` and ``sin(m phi)``, ``(2, kernel, kernel)``; 1 and 0 in the middle."""
    x, y = _grid(kernel)
    distance = np.sqrt(np.maximum(x * x + y * y, 1))
    cosine, sine = np.ones((kernel, kernel)), np.zeros((kernel, kernel))
    for _ in range(abs(order)):
        cosine, sine = (cosine * x - sine * y) / distance, (cosine * y + sine * x) / distance
    return np.stack([cosine, sine if order >= 0 else -sine])


def _profiles(kernel: int, order: int, squares: Array) -> Array:
    """Orthogonal profiles without aliases up to :data:`DEGREE`, ``(profiles, radii)``, at these squared radii."""
    x, y = _grid(kernel)
    members = (x * x + y * y).ravel() == squares[:, None]  # (radii, pixels)
    weight = np.sqrt(members.sum(axis=1))  # a profile's length is that of its values at all pixels
    aliases = [
        squares ** (degree / 2) * (members @ _wave(kernel, order - other)[0].ravel()) / weight
        for other in range(-DEGREE, DEGREE + 1)
        if other != order and (order - other) % 4 == 0
        for degree in range(abs(other), DEGREE + 1, 2)
    ]
    # A ring of radius r has room for orders up to 2 r.
    radii = np.array([r for r in range(kernel // 2 + 1) if order <= 2 * r])
    rings = weight * np.exp(-((np.sqrt(squares) - radii[:, None]) ** 2) / (2 * SIGMA_PX**2))
    alias = np.stack(aliases)
    free = rings - rings @ np.linalg.pinv(alias) @ alias
    count = min(len(radii), len(squares) - int(np.linalg.matrix_rank(alias)))
    basis, triangle = np.linalg.qr(free.T)
    found = (basis * np.sign(np.diag(triangle))).T[:count] / weight
    # The cosine and the sine share one length: other turns mix them, and would not be turns if each had its own.
    return (found * (math.sqrt(2) if order else 1)).round(DECIMALS)


class Halving(nn.Module):
    """Half as many pixels a side, each a binomial mean: Zhang, "Making Convolutional Networks Shift-Invariant Again",
    2019.

    The coarser grid is symmetric about the centre of the finer one whatever the side: an odd one keeps its middle
    pixel (29 to 15, means of 5 x 5), an even one is met between pixels (28 to 14, means of 4 x 4). Strides without
    the mean are symmetric on odd sides only, and what they alias comes out otherwise at every other angle.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(n, ..., h, w)`` to ``(n, ..., ceil(h / 2), ceil(w / 2))``."""
        maps = x.flatten(1, -3)
        down, across = (_taps(side, maps) for side in x.shape[-2:])
        mean = (down[:, None] * across).expand(maps.shape[1], 1, -1, -1)
        padding = (len(down) - 3, len(across) - 3)  # 2 for five taps, 1 for four
        return conv2d(maps, mean, stride=2, padding=padding, groups=maps.shape[1]).unflatten(1, x.shape[1:-2])


def _taps(side: int, like: Tensor) -> Tensor:
    """Binomial weights, as many as leave a grid of every other pixel symmetric."""
    weights = [1.0, 4.0, 6.0, 4.0, 1.0] if side % 2 else [1.0, 3.0, 3.0, 1.0]
    return like.new_tensor(weights) / sum(weights)


def buffer(basis: Array) -> Tensor:
    """A basis in the dtype that modules are built in, and where they are built."""
    return torch.tensor(basis, dtype=torch.get_default_dtype())
