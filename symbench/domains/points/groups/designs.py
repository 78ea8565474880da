"""Evenly spread rotations: for any number, and exact to a stated degree."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from scipy.integrate import lebedev_rule
from torch import Tensor

from symbench.domains.points.groups import quaternions

STEPS = (2**0.5, 1.533751168755204288118041)
"""Of the two spirals: the square root of 2, and the root of ``x^4 = x + 4``."""
DEGREES = (3, 5, 7, 9, 11, 15, 17, 19, 21, 23, 29, 31, 35, 41, 47, 53, 59, 65)
"""Of Lebedev's rules whose weights are all positive: those of degrees 13, 25 and 27 are not."""


def spread(count: int) -> Tensor:
    """Unit quaternions ``(count, 4)`` along a super-Fibonacci spiral, turned so that the first is the identity.

    Alexa, "Super-Fibonacci spirals: fast, low-discrepancy sampling of SO(3)", CVPR 2022. They are evenly spread on
    the whole sphere of unit quaternions, and so in SU(2) as well. Points for one count are none for another.
    """
    place = torch.arange(count, dtype=torch.float64) + 0.5
    inner, outer = (place / count).sqrt(), (1 - place / count).sqrt()
    first, second = (2 * torch.pi * place / step for step in STEPS)
    q = torch.stack([inner * first.sin(), inner * first.cos(), outer * second.sin(), outer * second.cos()], dim=-1)
    moved = quaternions.product(q, quaternions.conjugate(q[:1]))
    moved[0] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    return moved


@cache
def sphere(degree: int) -> tuple[Tensor, Tensor]:
    """Points ``(p, 3)`` of the unit sphere and weights ``(p,)``, adding up to 1, exact for polynomials to a degree.

    Raises:
        ValueError: the degree is above 65.
    """
    if degree > DEGREES[-1]:
        raise ValueError(f"a degree of at most {DEGREES[-1]}")
    points, weights = lebedev_rule(next(each for each in DEGREES if each >= degree))
    return torch.from_numpy(np.ascontiguousarray(points.T)), torch.from_numpy(weights / weights.sum())


def exact_to(degree: int) -> tuple[Tensor, Tensor]:
    """Rotations ``(k, 3, 3)`` and weights ``(k,)`` that integrate every entry of D^0 to D^degree, the identity first.

    Lebedev's points say where the z axis goes, ``degree + 1`` equal steps how space is turned about it beforehand:
    these leave of D^l only what does not depend on that turn, a spherical harmonic of degree l of where z goes.
    """
    poles, weights = sphere(degree)
    first = (poles - torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)).abs().sum(-1).argmin()
    order = torch.cat([first[None], torch.arange(len(poles))[torch.arange(len(poles)) != first]])
    steps = degree + 1
    about = torch.zeros(steps, 3, dtype=torch.float64)
    about[:, 2] = torch.arange(steps, dtype=torch.float64) * (2 * torch.pi / steps)
    turns = quaternions.matrices(quaternions.exponential(about))
    found = (_towards(poles[order])[:, None] @ turns).flatten(0, 1)
    found[0] = torch.eye(3, dtype=torch.float64)
    return found, (weights[order] / steps).repeat_interleave(steps)


def _towards(poles: Tensor) -> Tensor:
    """A rotation for each unit vector that takes z there: by the angle between them, about what is normal to both."""
    x, y, z = poles.unbind(-1)
    # Of the quaternion (1 + z, -y, x, 0), normalised, only -z makes nothing: any half turn about an axis normal to z.
    q = torch.stack([1 + z, -y, x, torch.zeros_like(x)], dim=-1)
    q = torch.where((1 + z < 1e-12)[:, None], torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64), q)
    return quaternions.matrices(q / torch.linalg.vector_norm(q, dim=-1, keepdim=True))
