"""Accuracy over shifts, as heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from symbench.report.style import MANY, gid


def suits(elements: pd.DataFrame) -> bool:
    """Whether elements are shifts in the plane by whole pixels, and nothing else."""
    if not {"dy_px", "dx_px"} <= set(elements) or {"angle_deg", "scale"} & set(elements):
        return False
    shifts = elements[["dy_px", "dx_px"]].to_numpy(dtype=float)
    return bool(np.isfinite(shifts).all() and (shifts == np.round(shifts)).all() and np.abs(shifts).max() >= 1)


def figure_of(data: pd.DataFrame, models: Sequence[str]) -> Figure:
    """Accuracy over (dy, dx), a panel for each model on one scale of colours; the unshifted place is framed.

    Args:
        data: rows with ``model``, ``dy_px``, ``dx_px``, ``estimate``.
        models: all of the report's.
    """
    names = list(data["model"].unique())
    columns = min(4 if len(names) <= MANY else 8, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(1.75 * columns + 1.0, 1.85 * lines + 0.5), layout="constrained")
    grid: Any = figure.subplots(lines, columns, squeeze=False)
    reach = int(max(abs(data["dy_px"]).max(), abs(data["dx_px"]).max()))
    side = np.arange(-reach, reach + 1)
    edges = (-reach - 0.5, reach + 0.5, reach + 0.5, -reach - 0.5)
    shown = None
    for axes, model in zip(grid.flat, names, strict=False):
        mine = data[data["model"] == model].drop_duplicates(["dy_px", "dx_px"])
        square = mine.pivot(index="dy_px", columns="dx_px", values="estimate")
        square = square.reindex(index=side, columns=side)  # shifts that were not drawn stay empty
        shown = axes.imshow(square.to_numpy(dtype=float), vmin=0, vmax=1, cmap="cividis", extent=edges)
        axes.add_patch(Rectangle((-0.5, -0.5), 1, 1, fill=False, edgecolor="#fefefe", linewidth=1.2))
        axes.set_title(model)
        axes.spines[:].set_visible(False)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_gid(gid(models.index(model)))
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("down, px")
    for axes in grid[-1, :]:
        axes.set_xlabel("right, px")
    if shown is not None:
        bar = figure.colorbar(
            shown, ax=grid, shrink=min(0.9, 1.8 / lines), aspect=12, anchor=(0, 1), ticks=[0, 0.25, 0.5, 0.75, 1]
        )
        bar.ax.set_yticklabels(["0", "25", "50", "75", "100 %"])
        bar.outline.set_visible(False)
    return figure
