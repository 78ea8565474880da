"""What elements do over a parameter of theirs, such as an angle, and piece by piece of a group that has several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from symbench.algebra.metrics import MetricRow, Metrics, shown_in
from symbench.read.report.curves import by_output
from symbench.read.report.outputs import piece
from symbench.read.report.scene import Scene
from symbench.read.report.style import INK, PAPER, Sketch, gid, legend, legend_inches, logarithmic_where_wide, look
from symbench.read.report.tables import whole

FEWEST, MOST, BINS = 3, 16, 12
"""Values of a parameter below which there is no curve, and above which it goes through means of so many bins."""
FILLED: tuple[dict[str, Any], ...] = ({"fillstyle": "full"}, {"fillstyle": "none"})
"""How the marks of a group's pieces differ, the first one's and the others'."""


def sketches(scene: Scene) -> Iterator[Sketch]:
    """For each output a panel for each metric, over the parameter that the figure's row names."""
    rows = scene.at_elements
    if not set(scene.over) <= set(rows):
        return
    (over,) = scene.over
    rows = rows.assign(piece=rows["piece"].fillna("") if "piece" in rows else "")
    for output, data in by_output(rows):
        if data[over].round(6).nunique() < FEWEST:
            continue
        names = " and ".join(dict.fromkeys(data["piece"])) if data["piece"].any() else "all"
        alt = f"Each model's error over {_label(over)}, {names} elements apart; a mark is one element."
        title = f"Over {_label(over).partition(',')[0]}: {scene.name}{f', {output}' if output else ''}"
        yield Sketch(title, alt, curves(data, over, scene), data, (output,) if output else ())


def _parts(scene: Scene, names: pd.Series) -> list[str]:
    """The pieces that occur, that of the identity first."""
    records = (each.cells.cell(each.key) for each in scene.measured)
    first = next((record.elements[0].stratum for record in records if record is not None), None)
    return sorted(map(str, dict.fromkeys(names)), key=lambda name: name != first)


def _label(over: str) -> str:
    return over.replace("_deg", ", degrees").replace("_", " ")


def curves(data: pd.DataFrame, over: str, scene: Scene) -> Figure:
    """A panel for each metric: a mark for each element, and a line through the means, each piece by itself.

    Args:
        data: of single elements of one output, with the parameter and ``piece`` as columns.
        over: the parameter.
        scene: whose models and metrics they are.
    """
    panels = {name: row for name, row in shown_in("curve", scene.metrics).items() if (data["metric"] == name).any()}
    names = [name for name in scene.models if (data["model"] == name).any()]
    figure = Figure(figsize=(3.1 * len(panels) + legend_inches(names), 2.8), layout="constrained")
    grid: Any = figure.subplots(1, len(panels), squeeze=False)
    parts = _parts(scene, data["piece"])
    for axes, (metric, row) in zip(grid.flat, panels.items(), strict=True):
        mine = data[data["metric"] == metric]
        for (model, part), some in mine.groupby(["model", "piece"], sort=False):
            _curve(axes, some, over, scene.models.index(str(model)), parts.index(str(part)), _factor(row))
        _finish(axes, mine["estimate"] * _factor(row), row, metric, mine)
    figure.supxlabel(_label(over), fontsize=9)
    if len(parts) > 1:
        _pieces_legend(grid.flat[0], parts)
    legend(figure, scene.models, names)
    return figure


def _factor(row: MetricRow) -> float:
    return 100.0 if row.written_as == "percent" else 1.0


def _curve(axes: Any, rows: pd.DataFrame, over: str, model: int, part: int, factor: float) -> None:
    shown, fill = look(model), FILLED[min(part, 1)]
    x, y = rows[over].to_numpy(dtype=float), factor * rows["estimate"].to_numpy(dtype=float)
    dots = {"color": shown["color"], "linestyle": "none", "marker": shown["marker"], "gid": gid(model), **fill}
    axes.plot(x, y, markersize=2.2, markeredgewidth=0.5, alpha=0.35, **dots)
    along, means = binned(x, y)
    axes.plot(along, means, markersize=3.2, **shown, **fill)


def binned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of ``y`` at each ``x``, in order; of many in bins of one width, at the mean ``x`` of each."""
    steps = np.round(x, 6)
    if len(np.unique(steps)) > MOST:
        edges = np.linspace(x.min(), x.max(), BINS + 1)
        steps = np.clip(np.searchsorted(edges, x, side="right"), 1, BINS)
    found = pd.DataFrame({"step": steps, "x": x, "y": y}).groupby("step").mean()
    return found["x"].to_numpy(), found["y"].to_numpy()


def _finish(axes: Any, values: pd.Series, row: MetricRow, metric: str, rows: pd.DataFrame) -> None:
    unit = next((str(each) for each in rows["unit"].dropna()), "") if row.unit == "place" and "unit" in rows else ""
    axes.set_ylabel((row.label or row.heading or metric) + (f", {unit}" if unit else ""))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    if row.better == "lower":
        error_scale(axes, values)
    else:
        axes.set_ylim(0, 103 if row.written_as == "percent" else None)


def error_scale(axes: Any, values: pd.Series) -> None:
    """From 0, or along the logarithm where errors span much; below a millionth of the largest all are drawn there."""
    positive = values[values > 0]
    if len(positive) and positive.max() > 30 * positive.min():
        logarithmic_where_wide(axes, float(positive.min()), float(positive.max()))
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0e}" if value < 1e-3 else f"{value:g}")
        if positive.max() > 1e3 * positive.min():
            axes.yaxis.set_major_locator(_decades())
    else:
        axes.set_ylim(bottom=0)


def _decades() -> Any:
    from matplotlib.ticker import LogLocator

    return LogLocator(subs=(1.0,), numticks=6)


def _pieces_legend(axes: Any, parts: Sequence[str]) -> None:
    marks = [
        Line2D([], [], color=INK, marker="o", linestyle="none", markersize=4, **FILLED[min(number, 1)])
        for number in range(len(parts))
    ]
    axes.legend(marks, list(parts), frameon=False, fontsize=7.5, loc="best", handletextpad=0.2, borderaxespad=0.2)


def bars(scene: Scene) -> Iterator[Sketch]:
    """A bar for each model and piece of a group that has several, a panel for each metric."""
    rows = scene.at_elements
    parts = _parts(scene, rows["piece"].dropna()) if "piece" in rows else []
    names = {piece(scene.symmetry, part): part for part in parts}
    report = scene.report
    mine = whole(report[(report["dataset"] == scene.dataset) & report["symmetry"].isin(names.keys())])
    mine = mine[mine["metric"].isin(shown_in("curve", scene.metrics)) & mine["estimate"].notna()]
    if len(parts) < 2 or mine.empty:
        return
    mine = mine.assign(piece=mine["symmetry"].map(names))
    for output, data in by_output(mine):
        alt = f"Errors of each model over the {' and the '.join(parts)} elements, with 95 % intervals."
        title = f"By piece of the group: {scene.name}{f', {output}' if output else ''}"
        figure = bars_of(data, parts, scene.models, scene.metrics)
        yield Sketch(title, alt, figure, data, (output,) if output else ())


def bars_of(data: pd.DataFrame, parts: Sequence[str], models: Sequence[str], metrics: Metrics) -> Figure:
    """Bars side by side: of a model those of all pieces, the first filled and the others hollow.

    Args:
        data: estimates with ``model``, ``piece``, ``metric``, ``estimate``, ``low``, ``high``.
        parts: the pieces, in their order.
        models: all of the report's.
        metrics: that the report knows.
    """
    panels = {name: row for name, row in shown_in("curve", metrics).items() if (data["metric"] == name).any()}
    names = [name for name in models if (data["model"] == name).any()]
    wide = max(2.2, 0.3 * len(names) * len(parts) + 1.2)
    figure = Figure(figsize=(wide * len(panels) + legend_inches(names), 2.7), layout="constrained")
    grid: Any = figure.subplots(1, len(panels), squeeze=False)
    for axes, (metric, row) in zip(grid.flat, panels.items(), strict=True):
        mine = data[data["metric"] == metric]
        for each in mine.to_dict("records"):
            _bar(axes, each, names.index(each["model"]), parts.index(each["piece"]), len(parts), models, _factor(row))
        step = len(parts) + 0.6
        ticks = [model * step + part for model in range(len(names)) for part in range(len(parts))]
        axes.set_xticks(ticks, [part for _ in names for part in parts], rotation=45, ha="right", fontsize=7.5)
        _finish(axes, mine["estimate"] * _factor(row), row, metric, mine)
    legend(figure, models, names, lines=False)
    return figure


def _bar(
    axes: Any, row: dict[Any, Any], model: int, part: int, parts: int, models: Sequence[str], factor: float
) -> None:
    x, number = model * (parts + 0.6) + part, models.index(row["model"])
    colour = look(number)["color"]
    (bar,) = axes.bar(x, factor * row["estimate"], 0.86, color=PAPER if part else colour, edgecolor=colour)
    bar.set_gid(gid(number))
    if np.isfinite(row["low"]):
        axes.vlines(x, factor * row["low"], factor * row["high"], color=INK, linewidth=1.0, gid=gid(number))
