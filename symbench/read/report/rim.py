"""Deviations of maps by the distance from the edge of the frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from symbench.algebra.metrics.folds import Folded
from symbench.algebra.metrics.rim import DISTANCES, by_distance, profile
from symbench.algebra.metrics.rim import READ as COLUMNS
from symbench.read.estimates.folding import Wanted, folded
from symbench.read.estimates.reading import Reading, outputs_of
from symbench.read.report.curves import by_output
from symbench.read.report.scene import Scene
from symbench.read.report.strata import error_scale
from symbench.read.report.style import Sketch, legend, legend_inches, look

PROFILE = Folded(lambda *_: [], (by_distance,), COLUMNS)
FEWEST = 3
"""Distances below which there is no line."""


def sketches(scene: Scene) -> Iterator[Sketch]:
    """For each output that stands on a grid, E over the distance from its edge."""
    data = pd.DataFrame(list(_rows(scene)))
    if data.empty:
        return
    for output, mine in by_output(data):
        if mine["distance"].nunique() < FEWEST or not mine["estimate"].gt(0).any():
            continue
        alt = f"E over the distance from the edge of the frame, one line for each model of {scene.name}."
        title = f"From the edge: {scene.name}{f', {output}' if output else ''}"
        yield Sketch(title, alt, figure_of(mine, scene), mine, (output,) if output else ())


def _rows(scene: Scene) -> Iterator[dict[str, Any]]:
    for measured in scene.measured:
        record = measured.cells.cell(measured.key)
        for reading in () if record is None else outputs_of(measured.cells, record):
            for (first, _), error in zip(DISTANCES, errors_of(reading), strict=True):
                if np.isfinite(error):
                    yield {"model": measured.model, "output": reading.output, "distance": first, "estimate": error}


def errors_of(reading: Reading) -> np.ndarray:
    """E of an output at each distance from the edge, ``(bins,)``; NaN where there is none."""
    found = folded(reading, [wanted := Wanted("rim", PROFILE)], [lambda seen: seen])[wanted]
    return profile(found) if isinstance(found, Mapping) else np.full(len(DISTANCES), np.nan)


def figure_of(data: pd.DataFrame, scene: Scene) -> Figure:
    """E over the distance from the edge, in pixels; along the logarithm where it spans much.

    Args:
        data: rows with ``model``, ``estimate`` and the ``distance`` from which on places are that far.
        scene: whose models they are.
    """
    names = [name for name in scene.models if (data["model"] == name).any()]
    figure = Figure(figsize=(3.9 + legend_inches(names), 2.7), layout="constrained")
    axes: Any = figure.add_subplot()
    for model, rows in data.groupby("model", sort=False):
        i = scene.models.index(str(model))
        axes.plot(rows["distance"], rows["estimate"], markersize=3, **look(i))
    error_scale(axes, data["estimate"])
    axes.set_xlabel("distance from the edge, px or more")
    axes.set_ylabel("E")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    legend(figure, scene.models, names)
    return figure
