"""Surfaces and curves with their middle at the origin, and points drawn uniformly from each.

All are of one size: the mean of the squared distance from the origin is 1, over the surface or the curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from symbench.algebra.statistics import Array

Sampler = Callable[[np.random.Generator, int], Array]
"""``(rng, count) -> (count, 3)``, float64: points uniform in area, or in length on a curve, in random order."""

CUBE_HALF = math.sqrt(3 / 5)
"""Half an edge: a face at ``z = a`` has a mean square of ``a^2 (1 + 2/3)``."""
CYLINDER = math.sqrt(18) / 5
"""Radius and half height of a closed cylinder."""
TORUS = (math.sqrt(2 / 3), math.sqrt(1 / 6))
"""Radii of the circle and of the tube around it: the mean square is ``R^2 + 2 r^2``."""
HELIX = (math.sqrt(1 / 2), math.sqrt(3 / 2))
"""Radius and half height: the mean square is ``a^2 + h^2 / 3``."""
TURNS = 2
"""Of a helix, over its whole height."""


def sphere(rng: np.random.Generator, count: int) -> Array:
    """Directions of normal vectors."""
    x = rng.normal(size=(count, 3))
    found: Array = x / np.linalg.norm(x, axis=1, keepdims=True)
    return found


def cube(rng: np.random.Generator, count: int) -> Array:
    """Points in the cube, one coordinate of each brought to a face."""
    x = CUBE_HALF * rng.uniform(-1, 1, size=(count, 3))
    x[np.arange(count), rng.integers(3, size=count)] = CUBE_HALF * rng.choice([-1.0, 1.0], size=count)
    return x


def tetrahedron(rng: np.random.Generator, count: int) -> Array:
    """A regular one, with its corners at four of a cube's."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=np.float64)
    return _triangles(rng, count, np.stack([np.delete(corners, i, axis=0) for i in range(4)]))


def octahedron(rng: np.random.Generator, count: int) -> Array:
    """A regular one, with its corners on the axes."""
    signs = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 3), axis=-1).reshape(8, 3)
    return _triangles(rng, count, math.sqrt(2) * signs[:, :, None] * np.eye(3))


def _triangles(rng: np.random.Generator, count: int, triangles: Array) -> Array:
    """Points on triangles of equal area ``(t, 3, 3)``: weights of the corners are uniform on those that sum to 1."""
    weights = rng.dirichlet((1, 1, 1), size=count)
    found: Array = (weights[:, :, None] * triangles[rng.integers(len(triangles), size=count)]).sum(1)
    return found


def cylinder(rng: np.random.Generator, count: int) -> Array:
    """About z, with its two ends; as high as it is wide, so that both ends together are a third of the area."""
    end = rng.random(count) < 1 / 3
    radius = CYLINDER * np.where(end, np.sqrt(rng.random(count)), 1)
    height = CYLINDER * np.where(end, rng.choice([-1.0, 1.0], size=count), rng.uniform(-1, 1, size=count))
    return _around(radius, rng.uniform(0, 2 * np.pi, size=count), height)


def torus(rng: np.random.Generator, count: int) -> Array:
    """About z. Angles around the tube have the density ``1 + r/R cos v``, which is greater on the outer side."""
    large, small = TORUS
    v = rng.uniform(0, 2 * np.pi, size=count)
    # An angle is kept with probability (1 + r/R cos v) / 2, and sent to the other side otherwise: these two ways to v
    # add up to the density, and no draw is thrown away.
    v = np.where(2 * rng.random(count) < 1 + small / large * np.cos(v), v, v + np.pi)
    return _around(large + small * np.cos(v), rng.uniform(0, 2 * np.pi, size=count), small * np.sin(v))


def right_handed_helix(rng: np.random.Generator, count: int) -> Array:
    """About z: it turns counter-clockwise, seen from above, as it rises."""
    radius, half = HELIX
    t = rng.uniform(-1, 1, size=count)
    return _around(np.full(count, radius), TURNS * np.pi * t, half * t)


def left_handed_helix(rng: np.random.Generator, count: int) -> Array:
    """The mirror image of the other, which no rotation makes of it."""
    return right_handed_helix(rng, count) * np.array([1.0, -1.0, 1.0])


def _around(radius: Array, angle: Array, height: Array) -> Array:
    """Cylindrical coordinates as Cartesian ones."""
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=-1)


SOLIDS: Mapping[str, Sampler] = MappingProxyType(
    {
        "sphere": sphere,
        "cube": cube,
        "tetrahedron": tetrahedron,
        "octahedron": octahedron,
        "cylinder": cylinder,
        "torus": torus,
        "right-handed helix": right_handed_helix,
        "left-handed helix": left_handed_helix,
    }
)
HANDED = frozenset(label for label, name in enumerate(SOLIDS) if "handed" in name)
"""The labels of those that a mirror takes to another class; each of the others is its own mirror image."""
