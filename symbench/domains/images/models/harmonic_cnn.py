"""A network of harmonics, equivariant under O(2): Worrall et al., "Harmonic Networks", 2017; Weiler & Cesa, 2019."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from symbench.domains.images.models.harmonics import Array, Halving, buffer, harmonics

ORDERS = (0, 1, 2)
"""Rotation orders of the features: irreducible representations of O(2)."""
PAIRS = len(ORDERS) - 1
EPSILON = 1e-4
"""Added to squared norms of about 1: norms have a gradient at 0, and rounding errors there are not blown up."""


def kernels(kernel: int, orders: tuple[int, ...]) -> Array:
    """A basis of the filters that take features of these orders to features of :data:`ORDERS`.

    A feature of order 0 is a real number. One of order m > 0 is a complex number in two channels, which a turn by t
    multiplies by ``exp(i m t)`` and a mirror conjugates. From m to n lead ``R(r) exp(i (n - m) phi)``, applied to
    the feature, and ``R(r) exp(i (n + m) phi)``, applied to its conjugate, the same thing where m or n is 0. All
    profiles R are real: a phase in front of one would be conjugated by a mirror, and break it.

    Returns:
        ``(functions, channels out, channels in, kernel, kernel)`` float64.
    """
    into, out = _channels(orders), _channels(ORDERS)
    made = []
    for m, columns in zip(orders, into, strict=True):
        for n, rows in zip(ORDERS, out, strict=True):
            for conjugate in (False, True) if m and n else (False,):
                for wave in _products(kernel, m, n, conjugate=conjugate):  # (2, 2, kernel, kernel)
                    function = np.zeros((out[-1].stop, into[-1].stop, kernel, kernel))
                    function[rows, columns] = wave[: rows.stop - rows.start, : columns.stop - columns.start]
                    made.append(function)
    return np.stack(made)


def _channels(orders: tuple[int, ...]) -> list[slice]:
    """Where the features of each order stand: in one channel for order 0, in two for others."""
    stops = [sum(2 if each else 1 for each in orders[: i + 1]) for i in range(len(orders))]
    return [slice(stop - (2 if order else 1), stop) for order, stop in zip(orders, stops, strict=True)]


def _products(kernel: int, m: int, n: int, *, conjugate: bool) -> Array:
    """Multiplication by each harmonic of order n - m (n + m of the conjugate) as 2 x 2 real matrices."""
    cosine, sine = harmonics(kernel, n + m if conjugate else n - m).swapaxes(0, 1)
    sign = -1 if conjugate else 1
    rows = np.stack([cosine, -sign * sine], axis=1), np.stack([sine, sign * cosine], axis=1)
    return np.stack(rows, axis=1)  # (profiles, 2, 2, kernel, kernel)


class HarmonicConv(nn.Module):
    """A convolution from ``channels`` features of each incoming order, 0 alone for an image, to ``width`` of each."""

    basis: Tensor

    def __init__(self, channels: int, width: int, *, orders: tuple[int, ...], kernel: int) -> None:
        super().__init__()
        basis = kernels(kernel, orders)
        self.register_buffer("basis", buffer(basis), persistent=False)
        self.weight = nn.Parameter(torch.empty(width, channels, len(basis)))
        nn.init.normal_(self.weight, std=math.sqrt(2 / self.weight[0].numel()))

    def filters(self) -> Tensor:
        """The filters, ``(width * 5, channels * (1 or 5), kernel, kernel)``."""
        made = (self.weight.flatten(0, 1) @ self.basis.flatten(1)).unflatten(1, self.basis.shape[1:])
        return made.unflatten(0, self.weight.shape[:2]).transpose(1, 2).flatten(2, 3).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, 1 or 5, h, w)`` to ``(n, width, 5, h, w)``."""
        maps = conv2d(x.flatten(1, 2), self.filters(), padding=self.basis.shape[-1] // 2)
        return maps.unflatten(1, (-1, self.basis.shape[1]))


class NormGate(nn.Module):
    """Batch normalisation and rectification by what turns and mirrors leave alone, ``(n, width, 5, h, w)``.

    Order 0 is normalised and rectified as usual. Of the others the root mean square of the norms over batch and
    places becomes 1, and ``z`` becomes ``relu(|z| + b) z / |z|`` with a learned b.
    """

    mean_square: Tensor

    def __init__(self, width: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.scalars = nn.BatchNorm2d(width, momentum=momentum)
        self.bias = nn.Parameter(torch.zeros(width, PAIRS, 1, 1))
        self.register_buffer("mean_square", torch.ones(width, PAIRS, 1, 1))
        self.momentum = momentum

    def forward(self, x: Tensor) -> Tensor:
        """Shape kept."""
        pairs = x[:, :, 1:].unflatten(2, (PAIRS, 2))
        square = pairs.square().sum(dim=3)  # (n, width, pairs, h, w)
        scale = (self._mean(square) + EPSILON).rsqrt()
        norm = (square * scale.square() + EPSILON).sqrt()
        gate = scale * (norm + self.bias).relu() / norm
        scalars = self.scalars(x[:, :, 0]).relu()
        return torch.cat([scalars[:, :, None], (pairs * gate[:, :, :, None]).flatten(2, 3)], dim=2)

    def _mean(self, square: Tensor) -> Tensor:
        if not self.training:
            return self.mean_square
        mean = square.mean(dim=(0, -2, -1))[..., None, None]
        with torch.no_grad():
            self.mean_square.lerp_(mean.to(self.mean_square.dtype), self.momentum)
        return mean


class HarmonicCnn(nn.Module):
    """Four harmonic convolutions, norms, the mean over places and a linear head.

    The logits do not change under quarter turns and mirrors of a square image of any side, up to rounding. Under
    other turns they nearly do not: the finer the pixels for what they show, the less.
    """

    def __init__(self, *, shape: tuple[int, ...], outputs: int, width: int, kernel: int) -> None:
        super().__init__()

        def block(channels: int, width: int, orders: tuple[int, ...] = ORDERS) -> list[nn.Module]:
            return [HarmonicConv(channels, width, orders=orders, kernel=kernel), NormGate(width)]

        self.features = nn.Sequential(
            *block(shape[0], width, (0,)),
            Halving(),
            *block(width, 2 * width),
            Halving(),
            *block(2 * width, 2 * width),
            *block(2 * width, 2 * width),
        )
        self.head = nn.Linear(2 * width * len(ORDERS), outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` to logits ``(n, outputs)``."""
        maps = self.features(x[:, :, None])
        pairs = maps[:, :, 1:].unflatten(2, (PAIRS, 2))
        norms = (pairs.square().sum(dim=3) + EPSILON).sqrt()
        invariant = torch.cat([maps[:, :, :1], norms], dim=2).mean(dim=(-2, -1))  # (n, width, orders)
        out: Tensor = self.head(invariant.flatten(1))
        return out
