"""What is lost over how far an element moves: accuracy and E over size(g)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from symbench.algebra.metrics import METRICS, MetricRow, Metrics, role_of, shown_in
from symbench.read.report.scene import Scene
from symbench.read.report.style import Sketch, chance_line, gid, legend, legend_inches, look, span

AT_EACH = role_of("each element")
EACH = (role_of("overlap at each element"), role_of("precision at each element"), AT_EACH)
"""What is drawn over single elements, the first that there is."""
AXES = {"moved": "places moved"}
FEWEST_SIZES = 2


def sketches(scene: Scene) -> Iterator[Sketch]:
    """A plot for a symmetry whose elements move by different amounts."""
    rows = scene.at_elements
    for output, mine in by_output(rows):
        data = by_size(mine)
        data = data.assign(chance=mine["chance"].iloc[0]) if "chance" in mine and len(mine) else data
        if data["size"].nunique() < FEWEST_SIZES:
            continue
        accuracy = data[data["metric"] == AT_EACH]
        spans = span(accuracy) if len(accuracy) else ""
        alt = f"Accuracy and equivariance error over how far the element moves, one curve for each model. {spans}"
        figure = figure_of(data, scene.models, scene.unit, scene.metrics)
        title = f"Over the size of the element: {scene.name}{f', {output}' if output else ''}"
        yield Sketch(title, alt, figure, data, (output,) if output else ())


def at_each(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows of what is drawn over single elements, and what that is called; chance is that of accuracy."""
    metric = next((name for name in EACH if (rows["metric"] == name).any()), AT_EACH)
    mine = rows[rows["metric"] == metric]
    name = METRICS.rows[metric].label.partition(",")[0]
    return mine if metric == AT_EACH else mine.drop(columns="chance", errors="ignore"), name


def by_output(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each output, by its name where there are several: errors of two are in two units."""
    if rows.empty or rows["output"].nunique() < 2:
        return [("", rows)] if len(rows) else []
    return [(str(name), group) for name, group in rows.groupby("output", sort=False)]


def by_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the elements of one size, for each model and metric.

    Args:
        rows: of single elements, with ``model``, ``metric``, ``size``, ``estimate``, ``low``, ``high``.

    Returns:
        The same columns and ``elements_of_size``, how many there are. Intervals are means of the elements' own, which
        is no narrower than the mean's.
    """
    sizes = rows.assign(size=rows["size"].astype(float).round(6))
    grouped = sizes.groupby(["model", "metric", "size"], sort=False)
    found = grouped[["estimate", "low", "high"]].mean()
    found["elements_of_size"] = grouped.size()
    return found.reset_index().sort_values(["model", "metric", "size"], kind="stable")


def figure_of(data: pd.DataFrame, models: Sequence[str], unit: str, metrics: Metrics | None = None) -> Figure:
    """A panel for accuracy and one for E, as far as they are measured; bands are 95 % intervals.

    Args:
        data: rows of :func:`by_size`, and ``chance`` where there are labels.
        models: all of the report's, in the order of their looks.
        unit: of sizes.
        metrics: those that there are; the table's by default.
    """
    panels = {name: row for name, row in shown_in("curve", metrics).items() if (data["metric"] == name).any()}
    names = [name for name in models if (data["model"] == name).any()]
    figure = Figure(figsize=(2.9 * len(panels) + legend_inches(names), 2.7), layout="constrained")
    grid: Any = figure.subplots(1, len(panels), squeeze=False)
    for axes, metric in zip(grid.flat, panels, strict=True):
        row = panels[metric]
        _panel(axes, data[data["metric"] == metric], models, row, with_chance=metric == AT_EACH)
        axes.set_ylabel(row.label or row.heading or metric)
        axes.grid(axis="y")
    figure.supxlabel(AXES.get(unit, f"size of the element, {unit}"), fontsize=9)
    legend(figure, models, names)
    return figure


def _panel(axes: Any, data: pd.DataFrame, models: Sequence[str], row: MetricRow, *, with_chance: bool) -> None:
    factor = 100.0 if row.written_as == "percent" else 1.0
    for model, rows in data.groupby("model", sort=False):
        i = models.index(str(model))
        size = rows["size"].to_numpy(dtype=float)
        estimate, low, high = (factor * rows[name].to_numpy(dtype=float) for name in ("estimate", "low", "high"))
        axes.plot(size, estimate, markersize=3, **look(i))
        if np.isfinite(low).any():
            color = look(i)["color"]
            axes.fill_between(size, low, high, color=color, alpha=0.18, linewidth=0).set_gid(gid(i))
    axes.set_ylim(0, 103 if factor > 1 else None)
    if with_chance:
        chance_line(axes, data, factor)
    axes.set_axisbelow(True)
