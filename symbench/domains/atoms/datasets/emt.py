"""Small crystals and clusters of metals under effective medium theory, as ASE computes it in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import numpy as np

from symbench.algebra.statistics import Array
from symbench.base.code import require
from symbench.base.errors import ConfigError, Problem
from symbench.domains.atoms.datasets.structures import Structure, atoms_of, dataset
from symbench.domains.common.datasets.base import Arrays
from symbench.domains.points.datasets.shapes import rotations

METALS = {"Al": (13, 4.00), "Ni": (28, 3.49), "Cu": (29, 3.59), "Pd": (46, 3.88), "Ag": (47, 4.06), "Pt": (78, 3.92),
          "Au": (79, 4.05)}  # fmt: skip
"""Of each metal the atomic number, and the edge in Å of the cube of 4 atoms that it repeats."""
CUBE = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
"""Where atoms are in that cube, in units of its edge."""


@dataclass(frozen=True)
class Recipe:
    """How pieces of metal are drawn, as the dataset's options say it."""

    atoms: tuple[int, int]
    elements: Sequence[str]
    rattle: float
    strain: float
    pose: str

    @cached_property
    def repeats(self) -> list[tuple[int, ...]]:
        """How often the cube may be repeated along each of the three edges."""
        least, most = self.atoms
        return [each for each in product(range(1, most // 4 + 1), repeat=3) if least <= 4 * prod(each) <= most]

    def species(self, rng: np.random.Generator, count: int) -> tuple[Array, float]:
        """Atomic numbers ``(count,)``, each drawn by itself, and the mean of their edges in Å."""
        chosen = [METALS[self.elements[each]] for each in rng.integers(len(self.elements), size=count)]
        return np.array([number for number, _ in chosen]), float(np.mean([edge for _, edge in chosen]))


def load(
    *,
    split: str,
    periodic: bool,
    atoms: tuple[int, int],
    elements: Sequence[str],
    rattle: float,
    strain: float,
    pose: str,
    samples: int,
    seed: int,
    where: str = "",
) -> Arrays:
    """Pieces of metal with what ASE's EMT says of them; those of the least to the most ``atoms``, padded.

    Positions and cells are numbers of float32, kept in float64: what is computed is exactly that of what models see,
    whatever they compute in.

    Args:
        split: ``train`` or ``test``, drawn from separate streams of ``seed``.
        periodic: crystals with a cell, and stress among the targets; else clusters.
        atoms: least and most.
        elements: symbols, of which each atom is one.
        rattle: standard deviation of each coordinate, in Å.
        strain: standard deviation of each entry of the strain.
        pose: ``random`` or ``aligned``.
        samples: how many.
        seed: seeds the stream.
        where: the suite's key, for messages.

    Raises:
        ConfigError: ASE is not installed, or no repeated cube has so many atoms.
    """
    require("ase", "molecules", where)
    recipe = Recipe(atoms, elements, rattle, strain, pose)
    if periodic and not recipe.repeats:
        got = f"got atoms {list(atoms)} for crystals of cubes of 4"
        raise ConfigError(Problem(where, got, "a multiple of 4 among them, or periodic: false"))
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    draw = crystal if periodic else cluster
    drawn = [draw(rng, recipe).rounded() for _ in range(samples)]
    found = [computed(each) for each in drawn]
    targets = {name: [each[name] for each in found] for name in found[0]}
    return dataset(drawn, targets, crystals=periodic, ragged=atoms[0] < atoms[1])


def crystal(rng: np.random.Generator, recipe: Recipe) -> Structure:
    """Cubes side by side, strained, and then each atom moved: with a cell of its own, about the origin's corner."""
    repeat = np.array(recipe.repeats[rng.integers(len(recipe.repeats))])
    corners = np.array(list(product(*map(range, repeat))), dtype=float)
    sites = (corners[:, None] + CUBE).reshape(-1, 3)
    species, edge = recipe.species(rng, len(sites))
    frame = edge * _strained(rng, recipe)
    moved = sites @ frame + recipe.rattle * rng.normal(size=sites.shape)
    turn = _pose(rng, recipe)
    return Structure(species, moved @ turn, repeat[:, None] * frame @ turn, (True, True, True))


def cluster(rng: np.random.Generator, recipe: Recipe) -> Structure:
    """The sites nearest to a point that is drawn in a cube, strained, each atom moved; about their centroid."""
    least, most = recipe.atoms
    count = int(rng.integers(least, most + 1))
    species, edge = recipe.species(rng, count)
    reach = np.arange(-3, 4, dtype=float)  # a ball of 64 sites has a radius of 1.6 edges
    sites = (np.stack(np.meshgrid(reach, reach, reach), -1).reshape(-1, 1, 3) + CUBE).reshape(-1, 3)
    nearest = np.square(sites - rng.uniform(size=3)).sum(1).argsort()[:count]
    frame = edge * _strained(rng, recipe)
    moved = sites[nearest] @ frame + recipe.rattle * rng.normal(size=(count, 3))
    # The nearest come first: in no particular order, the numbering says nothing.
    return Structure(species, ((moved - moved.mean(0)) @ _pose(rng, recipe))[rng.permutation(count)])


def _strained(rng: np.random.Generator, recipe: Recipe) -> Array:
    """What a unit cube becomes, edges as rows: the identity and a symmetric strain."""
    strain = recipe.strain * rng.normal(size=(3, 3))
    found: Array = np.eye(3) + (np.triu(strain) + np.triu(strain, 1).T)
    return found


def _pose(rng: np.random.Generator, recipe: Recipe) -> Array:
    """A rotation, uniform among all, or none."""
    return np.eye(3) if recipe.pose == "aligned" else rotations(rng, 1, upright=False)[0]


def computed(structure: Structure) -> dict[str, Array]:
    """Energy ``(1,)`` in eV, forces ``(atoms, 3)`` in eV/Å and, of a crystal, stress ``(3, 3)`` in eV/Å^3, by EMT."""
    from ase.calculators.emt import EMT

    atoms = atoms_of(structure)
    atoms.calc = EMT()
    found = {"energy": np.array([atoms.get_potential_energy()]), "forces": atoms.get_forces()}
    return found if structure.cell is None else {**found, "stress": atoms.get_stress(voigt=False)}
