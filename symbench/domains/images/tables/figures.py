"""Figures over what the elements of groups on the plane are: angles and shifts."""

from __future__ import annotations

from symbench.domains.common.figures import CLASSES, MOVED, SINGLE_SAMPLES, FigureRow

FIGURES = {
    "polar": FigureRow(
        "symbench.read.report.polar:sketches", "accuracy over the angle of rotation",
        section="polar", heading="Over angles", families=("plane",), tasks=(*CLASSES, *MOVED),
        over=("angle_deg",), rank=0,
        text="Accuracy, or of maps Dice and of boxes AP, is the radius; the angle is counter-clockwise. Bands "
        "are 95 % intervals, and the dotted circle is chance: always predicting the most frequent label.",
    ),
    "shifts": FigureRow(
        "symbench.read.report.shifts:sketches", "accuracy over shifts",
        section="shifts", heading="Over shifts", families=("translations", "slides"),
        tasks=(*CLASSES, *MOVED), multiples="shifts by multiples of {} px",
        over=("dy_px", "dx_px"), rank=0,
        text="Accuracy at each shift, or of maps Dice and of boxes AP; the unshifted place is framed, and dots "
        "across the scale are chance. E of maps is drawn down to 1e-8: what is darkest there is exact.",
    ),
    "samples": FigureRow(
        "symbench.read.report.orbits:sketches", "single samples over their orbits, the worst by number",
        section="orbits", heading="Single samples", tasks=MOVED, rank=2, text=SINGLE_SAMPLES,
        families=("plane", "translations", "slides", "rigid", "scalings"),
    ),
    "shift-errors": FigureRow(
        "symbench.read.report.shifts:errors", "E of maps over shifts",
        section="shifts", families=("translations", "slides"), tasks=("segmentation",),
        over=("dy_px", "dx_px"), rank=0,
    ),
}  # fmt: skip
