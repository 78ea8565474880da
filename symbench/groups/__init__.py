"""Groups: identity, compose, inverse, enumeration, designs and random elements.

To add one: write its file here, and add a row to ``GROUPS``. The law tests pick it up from the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from symbench.code import Code
from symbench.errors import ConfigError, Problem
from symbench.registry import Options, Row, Table, checked_options

if TYPE_CHECKING:
    from symbench.groups.base import Group


@dataclass(frozen=True)
class GroupRow(Row):
    """A group in the table.

    Attributes:
        family: what actions are looked up by: groups of one family give their elements in one form
            (``plane``: a 2x2 matrix; ``translations`` and ``slides``: pixels; ``rigid``: an angle and pixels;
            ``scalings``: a factor; ``symmetric``: a permutation). A plug-in may name its own.
        actions: ``ActionRow``s that a plug-in's own family brings along, or their import paths.
        alone: the kinds of values and places that a plug-in's own family leaves alone by theorem.
        sized: the group of the permutations of as many things as the leaf that it is on has places: ``n`` is theirs.
    """

    family: str = ""
    actions: tuple[Any, ...] = ()
    alone: frozenset[str] = frozenset()
    sized: bool = False


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


class SymmetricOptions(Options):
    """``S<n>``."""

    n: Annotated[int, Field(ge=2, le=1_000_000)]


GROUPS = Table(
    "group",
    GroupRow,
    {
        "C<n>": GroupRow(
            "symbench.groups.cyclic:Cyclic",
            "turns by multiples of 360/n degrees",
            CyclicOptions,
            "plane",
            aliases=("Z<n>", "Z_<n>", "C_<n>", "cyclic"),
        ),
        "D<n>": GroupRow(
            "symbench.groups.dihedral:Dihedral",
            "turns by multiples of 360/n degrees, with and without a mirror; D1 is the left-right flip",
            DihedralOptions,
            "plane",
            aliases=("D_<n>", "Dih<n>", "dihedral", "flip", "flips", "mirror", "mirrors", "reflections"),
        ),
        "SO2": GroupRow(
            "symbench.groups.rotation:SO2",
            "all rotations of the plane",
            Options,
            "plane",
            aliases=("SO(2)", "rotation", "rotations", "turns", "U(1)"),
        ),
        "translations": GroupRow(
            "symbench.groups.translation:Translations",
            "integer shifts",
            TranslationOptions,
            "translations",
            aliases=("translation", "shift", "shifts", "T2"),
        ),
        "R2": GroupRow(
            "symbench.groups.slide:PlaneTranslations", "shifts by fractions of a pixel", SlideOptions, "slides"
        ),
        "SE2": GroupRow(
            "symbench.groups.rigid:SE2",
            "rotations and shifts of the plane",
            RigidOptions,
            "rigid",
            aliases=("SE(2)", "rigid", "roto-translations"),
        ),
        "scalings": GroupRow(
            "symbench.groups.scaling:Scalings",
            "zooming in and out",
            ScalingOptions,
            "scalings",
            aliases=("scaling", "scale", "scales", "zoom", "zooms"),
        ),
        "S<n>": GroupRow(
            "symbench.groups.symmetric:Symmetric",
            "all permutations of n things",
            SymmetricOptions,
            "symmetric",
            aliases=("S_<n>", "Sym<n>", "symmetric", "permutation", "permutations"),
        ),
        "S": GroupRow(
            "symbench.groups.symmetric:Symmetric",
            "all permutations of the places of the leaf that it is on, as many as each sample has",
            Options,
            "symmetric",
            sized=True,
        ),
    },
)

HERE = Path()
PRODUCT = " x "
"""Between the factors of a direct product: ``group: SO2 x scalings``."""


def factors(name: str) -> list[str]:
    """The factors of a product's name, in one order however it is written; other groups are their own only factor."""
    return sorted(part.strip() for part in name.split(PRODUCT))


def built_in_family(name: str) -> str | None:
    """The family of a group of our own, or of a product of such, by its name; None for others. Imports no plug-in."""
    known = [GROUPS.built_in(part) for part in factors(name)]
    return PRODUCT.join(sorted(found[0].family for found in known if found)) if all(known) else None


def row_of(name: str, *, where: str = "", folder: Path = HERE) -> GroupRow:
    """The row of a group that is no product: one of the table, or what code brings, which is then imported.

    Args:
        name: as a suite says it: ``C4``, ``mylab/sp4``, or ``file.py:attr``, a ``GroupRow`` or a ``Group``'s class.
        where: the suite's key, for messages.
        folder: what paths of files are relative to.

    Raises:
        UnknownName: there is no such group.
        ConfigError: the code cannot be imported, or holds no group.
    """
    code = Code.parse(name, folder=folder, where=where)
    if code is None:
        return GROUPS.find(name, where=where)[0]
    found = code.value()
    if isinstance(found, GroupRow):
        return found
    if isinstance(found, type) and hasattr(found, "compose"):
        path = f"{code.loaded()}:{code.attribute}"
        parts = (getattr(found, key, ()) for key in ("actions", "alone"))
        mine, alone = parts
        return GroupRow(
            path,
            (found.__doc__ or "").partition("\n")[0],
            family=getattr(found, "family", ""),
            actions=tuple(mine),
            alone=frozenset(alone),
        )
    got = f"{code.attribute} is a {type(found).__name__}"
    raise ConfigError(Problem(where, got, "a GroupRow, or a class of symbench.groups.base.Group with a family"))


def load(
    name: str, options: dict[str, object], *, where: str = "", folder: Path = HERE, places: int | None = None
) -> Group:
    """The group called ``name``; ``options`` holds those of all factors.

    Args:
        name: as a suite says it.
        options: of all factors.
        where: the suite's key, for messages.
        folder: what paths of files are relative to.
        places: how many the leaf that it is on has, for groups that permute them whatever their number.

    Raises:
        ConfigError: an option is missing or out of range.
        UnknownName: there is no such group.
    """
    from symbench.groups.product import Product

    built = []
    for part in factors(name):
        row = row_of(part, where=where, folder=folder)
        given = {**options, **({} if ":" in part else GROUPS.find(part, where=where)[1])}
        if row.sized:
            if places is None or places < 2:
                got = f"{part} permutes the places of the leaf that it is on, and has {places or 'none'}"
                raise ConfigError(Problem(where, got, "two or more, along an axis"))
            built.append(row.load()(n=places))
            continue
        chosen = checked_options(row.options, given, where or f"group {part}")
        built.append(row.load()(**chosen.model_dump()))
    return built[0] if len(built) == 1 else Product(built)
