"""Clusters of atoms under the Lennard-Jones potential, of which energy and forces are known in closed form."""

from __future__ import annotations

import numpy as np
import torch

from symbench.algebra.fields import Scalar, Vector
from symbench.algebra.statistics import Array
from symbench.base.slices import slices
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.points.datasets import ATOMS, CLUSTER

EPSILON_EV = 0.01034
"""Depth of argon's potential: 120 K times Boltzmann's constant (Rahman, 1964)."""
SIGMA = 3.4
"""Where argon's potential is 0, in Å."""
NEAREST, FARTHEST = 0.95, 1.4
"""How near atoms may be to one another, and how far from the nearest that each was put beside; in sigma."""
AT_ONCE = 1 << 18
"""Pairs that are computed with at a time: some 10 MB for each number of theirs."""


def load(*, split: str, atoms: tuple[int, int], samples: int, seed: int) -> Arrays:
    """Clusters of the least to the most ``atoms``, about their centroid, padded to the most where they differ.

    Args:
        split: ``train`` or ``test``, drawn from separate streams of ``seed``.
        atoms: least and most.
        samples: how many clusters.
        seed: seeds the stream.
    """
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    least, most = atoms
    sizes = rng.integers(least, most + 1, size=samples)
    positions, forces = np.zeros((2, samples, most, 3))
    energy = np.zeros((samples, 1))
    for row, size in enumerate(sizes):
        positions[row, :size] = grown(rng, int(size))
    positions = positions.astype(np.float32).astype(np.float64)  # the target is exactly that of what models see
    for size in np.unique(sizes).tolist():
        alike = np.flatnonzero(sizes == size)
        for piece in slices(len(alike), max(1, AT_ONCE // size**2)):
            some = alike[piece]
            energy[some, 0], forces[some, :size] = energies_and_forces(positions[some, :size])
    return Arrays(
        {"positions": torch.from_numpy(positions).float()},
        {"energy": torch.from_numpy(energy).float(), "forces": torch.from_numpy(forces).float()},
        fields=CLUSTER,
        target_fields={"energy": Scalar(unit="eV", per=ATOMS.name), "forces": Vector(unit="eV/Å").over(ATOMS)},
        sizes={"atoms": sizes.tolist()} if least < most else None,
    )


def grown(rng: np.random.Generator, atoms: int) -> Array:
    """A cluster in Å, ``(atoms, 3)``: each atom is put beside one that there is, where no other is too near.

    All directions are alike and atoms stand in no particular order, so that clusters are spread as symmetrically as
    the energy is.
    """
    found = np.zeros((atoms, 3))
    for atom in range(1, atoms):
        there = found[:atom]
        while True:
            direction = rng.normal(size=3)
            step = SIGMA * rng.uniform(NEAREST, FARTHEST) / np.linalg.norm(direction)
            place = there[rng.integers(atom)] + step * direction
            if np.square(there - place).sum(1).min() >= (NEAREST * SIGMA) ** 2:
                break
        found[atom] = place
    return found[rng.permutation(atoms)] - found.mean(0)


def energies_and_forces(positions: Array) -> tuple[Array, Array]:
    """``E = sum_{i<j} 4 epsilon (s^12 - s^6)`` with ``s = sigma / d_ij``, and ``F_i = - dE / dx_i``.

    Args:
        positions: ``(n, atoms, 3)`` in Å, float64.

    Returns:
        energies ``(n,)`` in eV and forces ``(n, atoms, 3)`` in eV/Å.
    """
    apart = positions[:, :, None] - positions[:, None]  # (n, i, j, 3), from j to i
    square = np.square(apart).sum(-1)
    np.einsum("nii->ni", square)[:] = np.inf  # an atom does nothing to itself
    sixth = (SIGMA**2 / square) ** 3
    energy: Array = 4 * EPSILON_EV * (sixth**2 - sixth).sum((1, 2)) / 2
    pull = 24 * EPSILON_EV * (2 * sixth**2 - sixth) / square
    force: Array = (pull[..., None] * apart).sum(2)
    return energy, force
