"""Figures over what the elements of groups of space are: how far they turn, and how far they move."""

from __future__ import annotations

from symbench.domains.common.figures import SINGLE_SAMPLES, FigureRow

SPACE = ("space", "motions")

FIGURES = {
    "turns": FigureRow(
        "symbench.read.report.strata:sketches", "errors over the angle of rotation in space",
        section="turns", heading="Over rotations of space", families=SPACE, over=("angle_deg",), rank=0,
        text="A mark is one element, lines go through means. Where a group has several pieces, such as rotations and "
        "reflections, each has curves of its own; the angle of a reflection is that of its rotation.",
    ),
    "moves": FigureRow(
        "symbench.read.report.strata:sketches", "errors over the length of translations in space",
        section="turns", families=("motions",), over=("distance",), rank=0,
    ),
    "pieces": FigureRow(
        "symbench.read.report.strata:bars", "errors over each piece of a group of space",
        section="turns", families=SPACE, rank=0,
    ),
    "orbits": FigureRow(
        "symbench.read.report.orbits:sketches", "single samples over their orbits, the worst by number",
        section="orbits", heading="Single samples", families=(*SPACE, "spin"), rank=2,
        text=SINGLE_SAMPLES,
    ),
}  # fmt: skip
