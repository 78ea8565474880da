"""The groups of the plane, and their options."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from symbench.algebra.groups import GroupRow
from symbench.base.registry import Options


class CyclicOptions(Options):
    """``C<n>``."""

    n: Annotated[int, Field(ge=2, le=360)]


class DihedralOptions(Options):
    """``D<n>``."""

    n: Annotated[int, Field(ge=1, le=360)]


class TranslationOptions(Options):
    """``translations``: all integer shifts from ``-back`` to ``reach`` pixels along either axis.

    Without ``back`` it is ``reach``. Offsets 0 to 31 of a crop with a margin of 16 are ``reach: 16, back: 15``.
    """

    reach: Annotated[int, Field(ge=1, le=1000)]
    back: Annotated[int, Field(ge=0, le=1000)] | None = None


class SlideOptions(Options):
    """``R2``: shifts of at most ``reach`` pixels along either axis, measured in steps of ``step``."""

    reach: Annotated[float, Field(gt=0, le=1000)] = 1.0
    step: Annotated[float, Field(gt=0, le=1000)] = 0.5


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise PydanticCustomError("odd", "an odd number")
    return value


Odd = Annotated[int, Field(ge=3, le=1001), AfterValidator(_odd)]


class RigidOptions(Options):
    """``SE2``: shifts up to ``reach`` pixels along either axis and turns up to ``angle`` degrees either way.

    The grid has ``shifts`` places along either axis and ``angles`` angles: odd numbers, so that the identity is one.
    """

    reach: Annotated[float, Field(gt=0, le=1000)] = 3.0
    shifts: Odd = 5
    angle: Annotated[float, Field(gt=0, le=180)] = 30.0
    angles: Odd = 31


class ScalingOptions(Options):
    """``scalings``: factors from ``1 / reach`` to ``reach``, log-uniform."""

    reach: Annotated[float, Field(gt=1, le=8)] = 1.5


class TiltOptions(Options):
    """``tilts``: rotations by at most ``reach_deg`` degrees either way."""

    reach_deg: Annotated[float, Field(gt=0, lt=180)]


GROUPS = {
    "C<n>": GroupRow(
        "symbench.domains.images.groups.cyclic:Cyclic",
        "turns by multiples of 360/n degrees",
        CyclicOptions,
        "plane",
        order=lambda options: int(options.n),
        aliases=("Z<n>", "Z_<n>", "C_<n>", "cyclic"),
    ),
    "D<n>": GroupRow(
        "symbench.domains.images.groups.dihedral:Dihedral",
        "turns by multiples of 360/n degrees, with and without a mirror; D1 is the left-right flip",
        DihedralOptions,
        "plane",
        order=lambda options: 2 * int(options.n),
        aliases=("D_<n>", "Dih<n>", "dihedral", "flip", "flips", "mirror", "reflections"),
    ),
    "SO2": GroupRow(
        "symbench.domains.images.groups.rotation:SO2",
        "all rotations of the plane",
        Options,
        "plane",
        aliases=("SO(2)", "S02", "rotation", "rotations", "turns", "U(1)"),
    ),
    "tilts": GroupRow(
        "symbench.domains.images.groups.tilts:Tilts",
        "rotations of the plane within limits",
        TiltOptions,
        "plane",
        aliases=("tilt", "slants", "limited-rotations", "small-rotations"),
    ),
    "translations": GroupRow(
        "symbench.domains.images.groups.translation:Translations",
        "integer shifts",
        TranslationOptions,
        "translations",
        aliases=("translation", "shift", "shifts", "T2"),
    ),
    "R2": GroupRow(
        "symbench.domains.images.groups.slide:PlaneTranslations",
        "shifts by fractions of a pixel",
        SlideOptions,
        "slides",
    ),
    "SE2": GroupRow(
        "symbench.domains.images.groups.rigid:SE2",
        "rotations and shifts of the plane",
        RigidOptions,
        "rigid",
        aliases=("SE(2)", "rigid", "roto-translations"),
    ),
    "scalings": GroupRow(
        "symbench.domains.images.groups.scaling:Scalings",
        "zooming in and out",
        ScalingOptions,
        "scalings",
        aliases=("scaling", "scale", "scales", "zoom", "zooms"),
    ),
}
