"""Real spherical harmonics and how rotations mix them: Wigner's matrices, in the conventions of several libraries."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from symbench.algebra.fields.space import Convention
from symbench.base.slices import slices
from symbench.domains.points.groups.designs import sphere


def harmonics(degree: int, x: Tensor, convention: Convention) -> Tensor:
    """Real spherical harmonics of one degree, ``(..., 2 degree + 1)``, orthonormal under the mean over the sphere.

    ``Y_lm = sqrt((2 - [m = 0]) (2 l + 1) (l - |m|)! / (l + |m|)!) Q_lm(z) (Re or Im) (x + i y)^|m|``, with
    ``Q_lm = P_lm(z) / sin^m``, P without the sign of Condon and Shortley; Im for m below 0.

    Args:
        degree: l.
        x: unit vectors, float64 ``(..., 3)``.
        convention: order and signs.
    """
    if convention == "e3nn":
        x = x.roll(1, -1)  # its polar axis y is called z below
    powers, legendre = _powers(degree, x), _legendre(degree, x[..., 2])
    columns = []
    for m in range(-degree, degree + 1):
        k = abs(m)
        norm = (2 * degree + 1) * math.factorial(degree - k) / math.factorial(degree + k)
        sign = -1 if convention == "condon-shortley" and k % 2 else 1
        part = powers[k][m < 0]
        columns.append(sign * math.sqrt(norm * (2 if k else 1)) * legendre[k] * part)
    return torch.stack(columns, dim=-1)


def _powers(degree: int, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Real and imaginary parts of ``(x + i y)^m``, m from 0 to the degree."""
    found = [(torch.ones_like(x[..., 0]), torch.zeros_like(x[..., 0]))]
    for _ in range(degree):  # by hand: torch rounds products of complex numbers in ways that depend on how many
        real, imaginary = found[-1]
        turned = real * x[..., 1] + imaginary * x[..., 0]
        found.append((real * x[..., 0] - imaginary * x[..., 1], turned))
    return found


def _legendre(degree: int, z: Tensor) -> list[Tensor]:
    """``Q_lm(z)`` of the degree l, m from 0 to l, by the recursion in l."""
    found = []
    for m in range(degree + 1):
        before, here = torch.zeros_like(z), torch.full_like(z, float(math.prod(range(1, 2 * m, 2))))
        for n in range(m + 1, degree + 1):
            before, here = here, ((2 * n - 1) * z * here - (n + m - 1) * before) / (n - m)
        found.append(here)
    return found


MOST_NUMBERS = 1 << 23
"""Harmonics that are kept at a time while matrices are made."""


def wigner(degree: int, rotations: Tensor, convention: Convention) -> Tensor:
    """``D^l`` with ``Y_l(R x) = D^l(R) Y_l(x)``, float64 ``(..., 2 l + 1, 2 l + 1)``, of rotations ``(..., 3, 3)``.

    The mean of ``Y_l(R x) Y_l(x)^T`` over the sphere, which Lebedev's rule of degree 2 l takes without error. So the
    matrix follows from the harmonics alone, and fits their convention whatever that is.
    """
    size = 2 * degree + 1
    if degree == 0:
        return torch.ones(*rotations.shape[:-2], 1, 1, dtype=torch.float64)
    if degree == 1:  # harmonics are the components themselves: as exact as the rotation
        return _permuted(rotations, convention)
    points, known = _known(degree, convention)
    found = torch.zeros(*rotations.shape[:-2], size, size, dtype=torch.float64)
    for some in slices(len(points), max(1, MOST_NUMBERS * 9 // (rotations.numel() * size))):
        # Term by term rather than by matrix products, whose rounding depends on how many there are at once.
        x, y, z = points[some].T[..., None]  # each (p, 1)
        wide = rotations[..., None, :, :]
        turned = wide[..., 0] * x + wide[..., 1] * y + wide[..., 2] * z  # (..., p, 3)
        there = harmonics(degree, turned, convention)
        for number, each in enumerate(known[some]):
            found = found + there[..., number, :, None] * each
    identity = (rotations == torch.eye(3, dtype=rotations.dtype)).flatten(-2).all(-1)
    return torch.where(identity[..., None, None], torch.eye(size, dtype=torch.float64), found)


@cache
def _known(degree: int, convention: Convention) -> tuple[Tensor, Tensor]:
    """Points ``(p, 3)``, of each pair of opposite ones one, and the harmonics there with the rule's weights."""
    points, weights = sphere(2 * degree)
    sides = points @ torch.tensor([1.0, 1e-3, 1e-6], dtype=torch.float64)
    half = sides > 0
    points, weights = points[half], 2 * weights[half]
    return points, weights[:, None] * harmonics(degree, points, convention)


def _permuted(rotations: Tensor, convention: Convention) -> Tensor:
    """The rotations themselves in the order and with the signs of the harmonics of degree 1."""
    if convention == "e3nn":
        return rotations
    order = torch.tensor([1, 2, 0])
    found = rotations[..., order, :][..., order]
    if convention == "condon-shortley":
        sign = torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64)
        found = sign[:, None] * found * sign
    return found
