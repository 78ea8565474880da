"""The two tables: how families of groups move kinds of places and kinds of values, and what they leave alone."""

from __future__ import annotations

from dataclasses import dataclass

from symbench.actions.options import ResampleOptions, ShiftOptions, TurnOptions, ZoomOptions
from symbench.registry import Options, Row, Table


@dataclass(frozen=True)
class ActionRow(Row):
    """How a family moves one kind of places, or one kind of value.

    Attributes:
        family: the group family that it serves (see ``GroupRow``); for a product, see :func:`family`.
        kind: of the places (``Axis``, ``Grid``) or of the value (``Vector``).
        version: raised when its numbers change; part of every cell's key.
        named: only the places that the symmetry is on move; others of the kind stay where they are.
    """

    family: str = ""
    kind: str = ""
    version: int = 1
    named: bool = False


@dataclass(frozen=True)
class Family:
    """What all groups have in common whose elements come in one form.

    Attributes:
        alone: the kinds of values and places that it leaves alone by theorem.
        relabels: it exchanges places and does nothing to what stands there, whatever that is.
    """

    alone: frozenset[str] = frozenset({"Axis", "Index"})
    relabels: bool = False


SHIFTS = Family(frozenset({"Axis", "Index", "Vector", "PseudoVector"}))
FAMILIES: dict[str, Family] = {
    "plane": Family(),
    "rigid": Family(),
    "scalings": Family(),
    "plane x scalings": Family(),
    "translations": SHIFTS,
    "slides": SHIFTS,
    "symmetric": Family(frozenset(), relabels=True),
}
"""Our own families. A plug-in's group names in its row what its family leaves alone."""


ACTIONS = Table(
    "action",
    ActionRow,
    {
        "turn": ActionRow(
            "symbench.actions.plane:TurnImage",
            "rotate and mirror about the centre of the image",
            TurnOptions,
            "plane",
            "Grid",
            version=2,
        ),
        "shift": ActionRow(
            "symbench.actions.shift:ShiftImage", "move by whole pixels", ShiftOptions, "translations", "Grid"
        ),
        "slide": ActionRow(
            "symbench.actions.slide:SlideImage",
            "move by fractions of a pixel",
            ResampleOptions,
            "slides",
            "Grid",
            version=2,
        ),
        "move": ActionRow(
            "symbench.actions.move:MoveImage",
            "rotate about the centre and move, in one interpolation",
            ResampleOptions,
            "rigid",
            "Grid",
            version=2,
        ),
        "zoom": ActionRow(
            "symbench.actions.zoom:ZoomImage",
            "enlarge or reduce about the centre of the image",
            ZoomOptions,
            "scalings",
            "Grid",
        ),
        "turn-and-zoom": ActionRow(
            "symbench.actions.similarity:TurnAndZoomImage",
            "rotate or mirror and zoom about the centre of the image, in one interpolation",
            ZoomOptions,
            "plane x scalings",
            "Grid",
        ),
        "patches": ActionRow(
            "symbench.actions.permute:PermutePatches",
            "S<n> moves the n = m x m equal patches of the image",
            Options,
            "symmetric",
            "Grid",
            named=True,
        ),
        "pixels": ActionRow(
            "symbench.actions.permute:PermutePixels",
            "S<n> moves the n = h x w pixels of the image",
            Options,
            "symmetric",
            "Grid",
            named=True,
        ),
        "rows": ActionRow(
            "symbench.actions.permute:PermutePlaces",
            "S<n> moves the places along the axis of the leaf it is on",
            Options,
            "symmetric",
            "Axis",
            named=True,
        ),
        "rename": ActionRow(
            "symbench.actions.permute:Rename",
            "indices of places follow the places that they name",
            Options,
            "symmetric",
            "Index",
        ),
        "turn-vectors": ActionRow(
            "symbench.actions.vectors:TurnVectors",
            "rotate and mirror vectors of the plane",
            Options,
            "plane",
            "Vector",
        ),
        "turn-pseudovectors": ActionRow(
            "symbench.actions.vectors:TurnPseudoVectors",
            "the same of vectors that a mirror turns round besides",
            Options,
            "plane",
            "PseudoVector",
        ),
    },
)
