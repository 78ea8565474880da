"""Points of three-dimensional space: the groups that act on it, and how they move vectors, tensors and harmonics."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Limits

from symbench.algebra.actions import ActionRow, Family
from symbench.algebra.groups import GroupRow
from symbench.base.registry import Options
from symbench.domains.common.places import PlacesRow
from symbench.domains.points.datasets import DATASETS
from symbench.domains.points.figures import FIGURES
from symbench.domains.points.models import MODELS

__all__ = ["ACTIONS", "DATASETS", "FAMILIES", "FIGURES", "GROUPS", "MODELS", "PLACES"]


class RotationOptions(Options):
    """``SO3`` and ``O3``: ``degree: 4`` takes a quadrature, exact for harmonics to that degree, as elements.

    It has as many elements as that takes; without it they lie along a spiral, in any number.
    """

    degree: Annotated[int, Limits(ge=1, le=65)] | None = None


class MotionOptions(Options):
    """``SE3`` and ``E3``: translations of at most ``reach``, in the unit of the data's lengths."""

    reach: Annotated[float, Limits(gt=0, le=1e6)] = 1.0


class TranslationOptions(Options):
    """``T3``: translations of at most ``reach``, or by several lengths ``[1, 40, 1000]``, which are printed apart."""

    reach: (
        Annotated[float, Limits(gt=0, le=1e6)]
        | Annotated[tuple[Annotated[float, Limits(gt=0, le=1e6)], ...], Limits(min_length=2, strict=False)]
    ) = 1.0


GROUPS = {
    "SO3": GroupRow(
        "symbench.domains.points.groups.rotations:SO3",
        "rotations of space",
        RotationOptions,
        "space",
        aliases=("SO(3)", "S03", "SO_3"),
        written="SO(3)",
    ),
    "O3": GroupRow(
        "symbench.domains.points.groups.rotations:O3",
        "rotations and reflections of space, which are printed apart",
        RotationOptions,
        "space",
        aliases=("O(3)", "O_3"),
        written="O(3)",
        within={"proper": "SO3"},
    ),
    "O": GroupRow(
        "symbench.domains.points.groups.finite:Octahedral",
        "the 24 rotations of a cube",
        Options,
        "space",
        aliases=("octahedral", "cube"),
        order=lambda _: 24,
    ),
    "Oh": GroupRow(
        "symbench.domains.points.groups.finite:FullOctahedral",
        "the 48 symmetries of a cube: rotations, and reflections printed apart",
        Options,
        "space",
        aliases=("O_h", "full-octahedral"),
        order=lambda _: 48,
        written="O_h",
        within={"proper": "O"},
    ),
    "I": GroupRow(
        "symbench.domains.points.groups.finite:Icosahedral",
        "the 60 rotations of an icosahedron",
        Options,
        "space",
        aliases=("icosahedral", "icosahedron"),
        order=lambda _: 60,
    ),
    "SO2z": GroupRow(
        "symbench.domains.points.groups.about_z:AboutZ",
        "rotations of space about the z axis",
        Options,
        "space",
        aliases=("SO2-z", "SO(2)z", "about-z"),
    ),
    "SE3": GroupRow(
        "symbench.domains.points.groups.motions:SE3",
        "rotations and translations of space",
        MotionOptions,
        "motions",
        aliases=("SE(3)", "SE_3"),
        written="SE(3)",
    ),
    "E3": GroupRow(
        "symbench.domains.points.groups.motions:E3",
        "rotations, reflections and translations of space, proper and improper ones printed apart",
        MotionOptions,
        "motions",
        aliases=("E(3)", "E_3", "euclidean"),
        written="E(3)",
        within={"proper": "SE3"},
    ),
    "T3": GroupRow(
        "symbench.domains.points.groups.motions:T3",
        "translations of space",
        TranslationOptions,
        "motions",
        aliases=("T(3)", "R3"),
        written="T(3)",
    ),
    "SU2": GroupRow(
        "symbench.domains.points.groups.spin:SU2",
        "rotations of spin, of which a full turn is not the identity",
        Options,
        "spin",
        aliases=("SU(2)", "Spin3", "spin"),
        written="SU(2)",
    ),
}

FAMILIES = {"space": Family(), "motions": Family(), "spin": Family()}
LINEAR = {
    "Vector": ("Vectors", "vectors"),
    "PseudoVector": ("PseudoVectors", "vectors that reflections turn round besides"),
    "PseudoScalar": ("PseudoScalars", "numbers that reflections negate"),
    "Tensor": ("Tensors", "every index of a tensor"),
    "Voigt": ("VoigtTensors", "a symmetric tensor's six numbers, by its order and factors"),
    "Spherical": ("Harmonics", "coefficients of spherical harmonics, by Wigner's matrices"),
    "DirectSum": ("Harmonics", "coefficients of harmonics of several degrees"),
}
"""The kinds of values that all these groups move by a matrix: the class in ``actions/linear.py``, what is moved."""
WORDS = {"space": "rotate", "motions": "move", "spin": "spin"}
"""What names of actions of each family begin with."""


def _row(family: str, kind: str, path: str, summary: str) -> tuple[str, ActionRow]:
    name = f"{WORDS[family]}-{kind.lower()}"
    return name, ActionRow(f"symbench.domains.points.actions.{path}", summary, Options, family, kind)


ACTIONS = dict(
    [
        *(
            _row(family, kind, f"linear:{attribute}", f"{word} {what}")
            for family, word in WORDS.items()
            for kind, (attribute, what) in LINEAR.items()
        ),
        *(
            _row(family, "Point", "positions:Points", f"{word} points about their centre")
            for family, word in WORDS.items()
        ),
        _row("spin", "Spinor", "linear:Spinors", "spin pairs of complex numbers of spin 1/2"),
    ]
)

PLACES = {
    "Point over Axis": PlacesRow("symbench.domains.points.handling:Structure", "points of space", unit="point"),
}
"""By kinds of value and places: other values over an axis are nothing to look at."""
