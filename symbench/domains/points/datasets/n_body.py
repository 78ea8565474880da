"""Charged particles in motion: Kipf et al., 2018, as Satorras et al., 2021, have them in three dimensions.

There each component of a force is cut off by itself, which singles out the axes: what comes of a rotated start is not
what comes of the start, rotated. Here a force is cut off by its length.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from symbench.algebra.fields import Field, Point, Vector
from symbench.algebra.statistics import Array
from symbench.base.slices import slices
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.points.datasets import MOVING, PARTICLES

SPREAD = 0.5
"""Standard deviation of each coordinate at the start."""
SPEED = 0.5
"""Of every particle at the start."""
STRONGEST = 10.0
"""Force between two particles that are nearer to one another than ``1 / sqrt(10)``."""
STEP = 0.005
"""The longest step in time."""
AT_ONCE = 1 << 18
"""Pairs that are computed with at a time: some 10 MB for each number of theirs."""

Force = Callable[[Array], Array]
"""Positions ``(n, particles, 3)`` to the forces on them, of the same shape."""


def load(*, split: str, particles: int, time: float, samples: int, target: str, seed: int) -> Arrays:
    """Systems of ``particles`` particles of mass 1 and charge 1 or -1.

    Args:
        split: ``train`` or ``test``, drawn from separate streams of ``seed``.
        particles: of each system.
        time: how long they move.
        samples: how many systems.
        target: ``positions`` after that time, or the ``displacement`` until then.
        seed: seeds the stream.
    """
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    positions = SPREAD * rng.normal(size=(samples, particles, 3))
    velocities = rng.normal(size=(samples, particles, 3))
    velocities *= SPEED / np.linalg.norm(velocities, axis=-1, keepdims=True)
    charges = rng.choice([-1.0, 1.0], size=(samples, particles))
    # What is simulated are the rounded numbers that models see: the target is exactly theirs.
    start, moving = (x.astype(np.float32).astype(np.float64) for x in (positions, velocities))
    few = max(1, AT_ONCE // particles**2)
    ends = [
        simulated(start[some], moving[some], partial(coulomb, charges=charges[some]), time=time)[0]
        for some in slices(samples, few)
    ]
    end = np.concatenate(ends)
    field: Field
    if target == "positions":
        name, field, values = "final_positions", Point().over(PARTICLES), end
    else:
        name, field, values = "displacement", Vector().over(PARTICLES), end - start
    return Arrays(
        {
            "positions": torch.from_numpy(start).float(),
            "velocities": torch.from_numpy(moving).float(),
            "charges": torch.from_numpy(charges).float()[..., None],
        },
        {name: torch.from_numpy(values).float()},
        fields=MOVING,
        target_fields={name: field},
    )


def coulomb(positions: Array, charges: Array) -> Array:
    """``F_i = sum_j q_i q_j min(1 / d^2, STRONGEST) (x_i - x_j) / d``: opposite on the two of a pair.

    Args:
        positions: ``(n, particles, 3)``, float64.
        charges: ``(n, particles)``.
    """
    apart = positions[:, :, None] - positions[:, None]  # (n, i, j, 3), from j to i
    square = np.square(apart).sum(-1)
    np.einsum("nii->ni", square)[:] = 1  # of a particle with itself, where ``apart`` is 0
    strength = charges[:, :, None] * charges[:, None] * np.minimum(1 / square, STRONGEST) / np.sqrt(square)
    force: Array = (strength[..., None] * apart).sum(2)
    return force


def simulated(positions: Array, velocities: Array, force: Force, *, time: float) -> tuple[Array, Array]:
    """Positions and velocities after some time, by the velocity Verlet rule; both ``(n, particles, 3)``, float64."""
    steps = math.ceil(time / STEP)
    step = time / steps
    x, v, pull = positions, velocities, force(positions)
    for _ in range(steps):
        v = v + step / 2 * pull
        x = x + step * v
        pull = force(x)
        v = v + step / 2 * pull
    return x, v
