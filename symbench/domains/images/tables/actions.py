"""How groups of the plane move pixels, and vectors on and off them."""

from __future__ import annotations

from symbench.algebra.actions import ActionRow, Family
from symbench.base.registry import Options
from symbench.domains.images.actions.options import ResampleOptions, ShiftOptions, TurnOptions, ZoomOptions

SHIFTS = Family(frozenset({"Axis", "Index", "Vector", "PseudoVector", "Flow"}))
FAMILIES: dict[str, Family] = {
    "plane": Family(),
    "rigid": Family(),
    "scalings": Family(),
    "plane x scalings": Family(),
    "translations": SHIFTS,
    "slides": SHIFTS,
}
ACTIONS = {
    "turn": ActionRow(
        "symbench.domains.images.actions.plane:TurnImage",
        "rotate and mirror about the centre of the image",
        TurnOptions,
        "plane",
        "Grid",
        version=2,
    ),
    "shift": ActionRow(
        "symbench.domains.images.actions.shift:ShiftImage",
        "move by whole pixels",
        ShiftOptions,
        "translations",
        "Grid",
    ),
    "slide": ActionRow(
        "symbench.domains.images.actions.slide:SlideImage",
        "move by fractions of a pixel",
        ResampleOptions,
        "slides",
        "Grid",
        version=2,
    ),
    "move": ActionRow(
        "symbench.domains.images.actions.move:MoveImage",
        "rotate about the centre and move, in one interpolation",
        ResampleOptions,
        "rigid",
        "Grid",
        version=2,
    ),
    "zoom": ActionRow(
        "symbench.domains.images.actions.zoom:ZoomImage",
        "enlarge or reduce about the centre of the image",
        ZoomOptions,
        "scalings",
        "Grid",
    ),
    "turn-and-zoom": ActionRow(
        "symbench.domains.images.actions.similarity:TurnAndZoomImage",
        "rotate or mirror and zoom about the centre of the image, in one interpolation",
        ZoomOptions,
        "plane x scalings",
        "Grid",
    ),
    "patches": ActionRow(
        "symbench.domains.images.actions.patches:PermutePatches",
        "S<n> moves the n = m x m equal patches of the image",
        Options,
        "symmetric",
        "Grid",
        named=True,
    ),
    "pixels": ActionRow(
        "symbench.domains.images.actions.patches:PermutePixels",
        "S<n> moves the n = h x w pixels of the image",
        Options,
        "symmetric",
        "Grid",
        named=True,
    ),
    "turn-vectors": ActionRow(
        "symbench.domains.images.actions.vectors:TurnVectors",
        "rotate and mirror vectors of the plane",
        Options,
        "plane",
        "Vector",
    ),
    "turn-pseudovectors": ActionRow(
        "symbench.domains.images.actions.vectors:TurnPseudoVectors",
        "the same of vectors that a mirror turns round besides",
        Options,
        "plane",
        "PseudoVector",
    ),
}

COORDINATES = "symbench.domains.images.actions.coordinates"
OPTIONS: dict[str, type[Options]] = {
    "plane": Options,
    "translations": ShiftOptions,
    "slides": ResampleOptions,
    "rigid": ResampleOptions,
    "scalings": ResampleOptions,
    "plane x scalings": ResampleOptions,
}
"""Of what moves what is told in pixels, by family: those that can bring something from beyond the frame ask how."""
WORDS = {
    "plane": "turn",
    "translations": "shift",
    "slides": "slide",
    "rigid": "move",
    "scalings": "zoom",
    "plane x scalings": "turn-and-zoom",
}
for family, word in WORDS.items():
    ACTIONS |= {
        f"{word}-boxes": ActionRow(
            f"{COORDINATES}:MoveBoxes", "boxes move with the pixels in them", OPTIONS[family], family, "Boxes"
        ),
        f"{word}-keypoints": ActionRow(
            f"{COORDINATES}:MoveKeypoints",
            "named points move with their pixels; a mirror exchanges left and right",
            OPTIONS[family],
            family,
            "Keypoints",
        ),
    }
    if family not in {"translations", "slides"}:
        ACTIONS[f"{word}-flow"] = ActionRow(
            f"{COORDINATES}:TurnFlow", "displacements in pixels, y down", Options, family, "Flow"
        )
