"""Datasets of space: shapes with classes, charged particles that move, and clusters of atoms with energies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Limits

from symbench.algebra.fields import Axis, Point, Scalar, Vector
from symbench.base.registry import Options
from symbench.domains.common.datasets import DatasetRow, Split
from symbench.domains.common.datasets.numbers import least_and_most

CLOUD = {"positions": Point().over(Axis("points"))}
PARTICLES = Axis("particles")
MOVING = {
    "positions": Point().over(PARTICLES),
    "velocities": Vector().over(PARTICLES),
    "charges": Scalar().over(PARTICLES),
}
ATOMS = Axis("atoms")
CLUSTER = {"positions": Point(unit="Å").over(ATOMS)}

MOST_ATOMS = 64

Samples = Annotated[int, Limits(ge=2, le=1_000_000)]


class ShapesOptions(Options):
    """``shapes``: which surface or curve were these ``points`` drawn from?

    ``noise`` is the standard deviation of what is added to each coordinate; shapes have radius 1 (root mean square).
    ``pose: aligned`` leaves all shapes as they are defined, ``upright`` turns each about z, ``random`` in all ways.
    ``label: hand`` takes helices alone and asks for their hand, which the reflections of ``Oh`` exchange.
    """

    split: Split = "test"
    points: Annotated[int, Limits(ge=4, le=4096)] = 64
    samples: Samples = 1000
    noise: Annotated[float, Limits(ge=0, le=10)] = 0.05
    pose: Literal["aligned", "upright", "random"] = "aligned"
    label: Literal["shape", "hand"] = "shape"
    seed: Annotated[int, Limits(ge=0)] = 0


class NBodyOptions(Options):
    """``n-body``: where are charged particles after this ``time``?

    ``target: positions`` asks for the places that they come to, ``displacement`` for how each has moved until then.
    Lengths and times have no unit. Rounding grows with time: the worst of 3000 systems is off by 2e-14 at 1, and by
    1e-8 at 5.
    """

    split: Split = "test"
    particles: Annotated[int, Limits(ge=2, le=64)] = 5
    time: Annotated[float, Limits(gt=0, le=5)] = 1.0
    samples: Samples = 1000
    target: Literal["positions", "displacement"] = "positions"
    seed: Annotated[int, Limits(ge=0)] = 0


class LennardJonesOptions(Options):
    """``lennard-jones``: energy and forces of clusters of argon of ``atoms`` each, a number or ``[least, most]``.

    Where sizes differ, positions and forces are padded with zeros, and ``atoms_mask`` says which atoms are real.
    """

    split: Split = "test"
    atoms: Annotated[tuple[int, int], least_and_most("atoms", MOST_ATOMS, 13)] = (13, 13)
    samples: Samples = 1000
    seed: Annotated[int, Limits(ge=0)] = 0


DATASETS = {
    "shapes": DatasetRow(
        "symbench.domains.points.datasets.shapes:load",
        "points drawn from spheres, cubes and more, in 8 classes, two of which a mirror exchanges",
        ShapesOptions,
        CLOUD,
        aliases=("modelnet", "point-cloud", "pointcloud", "clouds"),
    ),
    "n-body": DatasetRow(
        "symbench.domains.points.datasets.n_body:load",
        "charged particles with the places that they come to, simulated by an equivariant rule",
        NBodyOptions,
        MOVING,
        aliases=("nbody", "charged-particles", "particles"),
    ),
    "lennard-jones": DatasetRow(
        "symbench.domains.points.datasets.lennard_jones:load",
        "clusters of atoms with their exact energy (eV) and forces (eV/Å)",
        LennardJonesOptions,
        CLUSTER,
        aliases=("lj", "clusters", "atoms"),
    ),
}
