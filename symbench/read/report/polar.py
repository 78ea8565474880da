"""Accuracy over the angle of rotation, as the radius of a polar plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from symbench.read.report.curves import at_each
from symbench.read.report.scene import Scene
from symbench.read.report.style import Sketch, chance_line, gid, legend, legend_inches, look, span

FEWEST_ANGLES = 8
"""Below this a polar curve says less than the table."""


def sketches(scene: Scene) -> Iterator[Sketch]:
    """A plot for a symmetry whose elements are rotations, and enough of them."""
    data, what = at_each(scene.at_elements)
    (angle,) = scene.over
    if "mirror" in data or angle not in data or data[angle].nunique() < FEWEST_ANGLES:
        return
    title = f"{what[:1].upper()}{what[1:]} over angle: {scene.name}"
    alt = f"Polar plot of {what} against the angle of rotation, one curve for each model. {span(data)}"
    yield Sketch(title, alt, figure_of(data, angle, scene.models), data)


def figure_of(data: pd.DataFrame, over: str, models: Sequence[str]) -> Figure:
    """Accuracy as the radius, the angle counter-clockwise from the right; bands are 95 % intervals, the dotted
    circle is chance.

    Args:
        data: rows with ``model``, the angle, ``estimate``, ``low``, ``high``.
        over: the column of the angle, in degrees.
        models: all of the report's, in the order of their looks.
    """
    names = list(data["model"].unique())
    figure = Figure(figsize=(3.9 + legend_inches(names), 3.9), layout="constrained")
    axes: Any = figure.add_subplot(projection="polar")
    for model, rows in data.groupby("model", sort=False):
        i = models.index(str(model))
        ordered = rows.sort_values(over)
        closed = pd.concat([ordered, ordered.iloc[:1]])
        angle = np.deg2rad(closed[over].to_numpy())
        (line,) = axes.plot(angle, closed["estimate"], markersize=3, **look(i))
        band = axes.fill_between(
            angle, closed["low"], closed["high"], color=line.get_color(), alpha=0.18, linewidth=0
        )
        band.set_gid(gid(i))
    axes.set_ylim(0, 1)
    chance_line(axes, data, 1.0)
    axes.set_yticks([0.25, 0.5, 0.75, 1.0], ["25", "50", "75", "100 %"])
    axes.set_rlabel_position(67.5)
    legend(figure, models, names)
    return figure
