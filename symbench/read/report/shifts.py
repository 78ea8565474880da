"""Accuracy over shifts, and E of maps, as heat maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from symbench.algebra.metrics import role_of
from symbench.read.report.curves import at_each
from symbench.read.report.scene import Scene
from symbench.read.report.style import MANY, PAPER, Sketch, chance_line, gid, span

QUARTERS = [0, 0.25, 0.5, 0.75, 1]
DEVIATION = role_of("deviation")
LEAST = -8
"""The power of ten that E is drawn down to: what is exact is at it, and what is not is far above."""


@dataclass(frozen=True)
class Shades:
    """How numbers become shades: linearly between two, with a scale beside them."""

    low: float
    high: float
    ticks: Sequence[float]
    labels: Sequence[str]


SHARES = Shades(0, 1, QUARTERS, ["0", "25", "50", "75", "100 %"])
ERRORS = Shades(LEAST, 0, range(LEAST, 1, 2), [*(f"1e{power}" for power in range(LEAST, 0, 2)), "E = 1"])


def sketches(scene: Scene) -> Iterator[Sketch]:
    """A heat map for a symmetry whose elements are shifts in the plane by whole pixels."""
    data, what = at_each(scene.at_elements)
    if data.empty or not set(scene.over) <= set(data) or not _on_grid(data[list(scene.over)]):
        return
    title = f"{what[:1].upper()}{what[1:]} over shifts: {scene.name}"
    alt = f"Heat maps of {what} over vertical and horizontal shifts, one for each model. {span(data)}"
    yield Sketch(title, alt, figure_of(data, scene.over, scene.models), data)


def errors(scene: Scene) -> Iterator[Sketch]:
    """The same of E, by its powers of ten: those shifts stand out that a network with strides is exact under."""
    data = scene.at_elements[scene.at_elements["metric"] == DEVIATION]
    if data.empty or not set(scene.over) <= set(data) or not _on_grid(data[list(scene.over)]):
        return
    title = f"E over shifts: {scene.name}"
    powers = data.assign(estimate=np.log10(data["estimate"].clip(lower=10.0**LEAST)))
    least, most = data["estimate"].min(), data["estimate"].max()
    alt = f"Heat maps of the equivariance error over vertical and horizontal shifts, from {least:.2g} to {most:.2g}."
    yield Sketch(title, alt, figure_of(powers, scene.over, scene.models, ERRORS), data)


def _on_grid(data: pd.DataFrame) -> bool:
    shifts = data.to_numpy(dtype=float)
    return bool(np.isfinite(shifts).all() and (shifts == np.round(shifts)).all() and np.abs(shifts).max() >= 1)


def figure_of(data: pd.DataFrame, over: Sequence[str], models: Sequence[str], shades: Shades = SHARES) -> Figure:
    """Numbers over (dy, dx), a square for each model on one scale of colours; the unshifted place is framed.

    Args:
        data: rows with ``model``, the shifts, ``estimate``.
        over: the columns of the shifts, down and right.
        models: all of the report's.
        shades: of the numbers.
    """
    names = list(data["model"].unique())
    columns = min(4 if len(names) <= MANY else 8, len(names))
    lines = -(-len(names) // columns)
    reach = int(max(abs(data[shift]).max() for shift in over))
    width, height = (2 * reach + 1) * 1.18, (2 * reach + 1) * 1.3  # from one square to the next
    figure = Figure(figsize=(1.75 * columns + 1.0, 1.95 * lines + 0.5), layout="constrained")
    axes: Any = figure.add_subplot()
    shown = None
    for number, model in enumerate(names):
        y, x = height * (number // columns), width * (number % columns)
        shown = _square(axes, data[data["model"] == model], over, reach, y, x, gid(models.index(model)), shades)
        title = axes.text(x, y - reach - 0.5 - 0.06 * height, model, ha="center", va="bottom")
        title.set_gid(gid(models.index(model)))
    axes.set_xlim(-reach - 0.5, width * (columns - 1) + reach + 0.5)
    axes.set_ylim(height * (lines - 1) + reach + 0.5, -reach - 0.5 - 0.2 * height)
    steps = [-reach, 0, reach]
    axes.set_xticks([width * c + step for c in range(columns) for step in steps], [str(s) for s in steps] * columns)
    axes.set_yticks([height * r + step for r in range(lines) for step in steps], [str(s) for s in steps] * lines)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("right, px")
    axes.set_ylabel("down, px")
    if shown is not None:
        bar = figure.colorbar(
            shown, ax=axes, shrink=min(0.9, 1.8 / lines), aspect=12, anchor=(0, 1), ticks=list(shades.ticks)
        )
        bar.ax.set_yticklabels(list(shades.labels))
        bar.outline.set_visible(False)
        if shades is SHARES:
            chance_line(bar.ax, data, 1.0, label="", color=PAPER, zorder=3)
    return figure


def _square(
    axes: Any, rows: pd.DataFrame, over: Sequence[str], reach: int, y: float, x: float, name: str, shades: Shades
) -> Any:
    side = np.arange(-reach, reach + 1)
    down, right = over
    square = rows.drop_duplicates([down, right]).pivot(index=down, columns=right, values="estimate")
    square = square.reindex(index=side, columns=side)  # shifts that were not drawn stay empty
    edges = (x - reach - 0.5, x + reach + 0.5, y + reach + 0.5, y - reach - 0.5)
    look = {"cmap": "cividis", "extent": edges, "gid": name}
    shown = axes.imshow(square.to_numpy(dtype=float), vmin=shades.low, vmax=shades.high, **look)
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor="#fefefe", linewidth=1.2))
    return shown
