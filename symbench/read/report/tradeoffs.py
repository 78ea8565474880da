"""Accuracy and robustness, against each other and against what they cost; the Pareto front is marked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from symbench.algebra.metrics import METRICS, role_of
from symbench.read.report import chance
from symbench.read.report.ranks import CLEAN, ORBIT, STAGES, WORST, of
from symbench.read.report.scene import Scene
from symbench.read.report.style import INK, MUTED, Sketch, chance_line, legend, legend_inches, look
from symbench.read.report.tables import whole

FRONT = 1.6
"""The width of its line."""
SIZE, OPERATIONS, SPEED = (role_of(role) for role in ("size", "operations", "speed"))
COSTS = {name: METRICS.rows[name].heading for name in (SIZE, OPERATIONS, SPEED)}
MEASURES = [f"{metric}{end}" for metric in STAGES for end in ("", "_low", "_high")]


def front(good: Sequence[float], cheap: Sequence[float], low: Sequence[float] | None = None) -> list[bool]:
    """Which points no other point beats: better in one, and no worse in the other; more is better in both.

    NaN is never on the front, and beats nothing. Where ``cheap`` is uncertain, a point is not on the front if another
    would beat it, were it only as cheap as its lower limit: its place among its neighbours is not known.

    Args:
        good: of every point.
        cheap: likewise.
        low: the lower limit of ``cheap``; ``cheap`` itself where it is None or NaN.
    """
    points = np.column_stack([good, cheap]).astype(float)
    least = points if low is None else np.column_stack([good, np.where(np.isnan(low), cheap, low)]).astype(float)
    found = []
    for number, point in enumerate(least):
        no_worse = (points >= point).all(axis=1)
        better = (points > point).any(axis=1)
        beaten = np.delete(no_worse & better, number).any()
        found.append(bool(np.isfinite(point).all() and not beaten))
    return found


def with_costs(ranked: pd.DataFrame, frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Add parameters, FLOPs and throughput, and for each whether the model is on its front with the orbit's accuracy.

    A model that is beaten within the limits of its own throughput is on no front of it.

    Args:
        ranked: rows of :class:`~symbench.read.report.ranks.Ranked`.
        frame: all estimates.
        dataset: on which they were timed.
    """
    own = frame[frame["symmetry"].isna() & frame["metric"].isin(list(COSTS))]
    own = own[own["dataset"] == dataset].drop_duplicates(["model", "metric"])
    costs = own.pivot(index="model", columns="metric", values="estimate")
    least = own[own["metric"] == SPEED].set_index("model")["low"]
    found = ranked[["model", "chance", *MEASURES]].copy()
    for name in COSTS:
        found[name] = found["model"].map(costs[name]).astype(float) if name in costs else np.nan
    found[f"{SPEED}_low"] = found["model"].map(least).astype(float)
    robust, clean = _above_chance(found, ORBIT), _above_chance(found, CLEAN)
    found[f"front_{CLEAN}"] = front(found[WORST].tolist(), clean)
    for name in COSTS:
        sign = 1 if name == SPEED else -1
        low = found[f"{SPEED}_low"].tolist() if name == SPEED else None
        found[f"front_{name}"] = front(robust, (sign * found[name]).tolist(), low)
    return found


def sketches(scene: Scene) -> Iterator[Sketch]:
    """A plot for each output that has the three accuracies."""
    ranked = of(whole(scene.estimates))
    for found in ranked:
        data = with_costs(found.rows, scene.report, scene.dataset)
        best = ", ".join(data[data[f"front_{SIZE}"]]["model"])
        alt = "Accuracy against worst-case accuracy, and accuracy against parameters, FLOPs and throughput."
        alt += f" On the Pareto front of orbit accuracy and parameters: {best}." if best else ""
        more = (found.output,) if len(ranked) > 1 else ()
        title = f"Accuracy, robustness and cost: {scene.name}"
        yield Sketch(title, alt, figure_of(data, scene.models, found.of), data, more)


def _above_chance(found: pd.DataFrame, metric: str) -> list[float]:
    """A column; NaN for models that are no better than chance, which no front is made of."""
    columns = found[[f"{metric}_low", metric, "chance"]].itertuples(index=False)
    return [value if chance.beaten(low, value, level) else math.nan for low, value, level in columns]


def figure_of(data: pd.DataFrame, models: Sequence[str], of: str = "%") -> Figure:
    """Accuracy against the worst case; and against each cost the accuracy as it is (hollow) and over the orbit.

    Args:
        data: rows of :func:`with_costs`.
        models: all of the report's, in the order of their looks.
        of: what accuracy is of.
    """
    names = [str(name) for name in data["model"]]
    panels = [name for name in COSTS if (data[name] > 0).any()]
    columns = 2
    lines = -(-(1 + len(panels)) // columns)
    figure = Figure(figsize=(2.75 * columns + legend_inches(names), 2.5 * lines), layout="constrained")
    grid: Any = figure.subplots(lines, columns, squeeze=False)
    _accuracies(grid.flat[0], data, models, of)
    for axes, cost in zip(grid.flat[1:], panels, strict=False):
        _cost(axes, data[data[cost] > 0], cost, models, of)
    for axes in grid.flat[1 + len(panels) :]:
        axes.set_axis_off()
    legend(figure, models, names, lines=False)
    figure.legend(handles=_signs(bool(panels)), loc="outside lower center", ncols=3, frameon=False, fontsize=8.0)
    return figure


def _signs(costs: bool) -> list[Line2D]:
    """What marks and lines mean, for a legend."""
    dot: dict[str, Any] = {"color": INK, "marker": "o", "markersize": 4.5, "linestyle": "none"}
    found = [
        Line2D([], [], **dot, markerfacecolor="none", label="hollow: accuracy as it is"),
        Line2D([], [], **dot, label="filled: over the orbit"),
    ]
    ring: dict[str, Any] = {"marker": "o", "markersize": 10, "markerfacecolor": "none", "markeredgewidth": 0.8}
    return [*(found if costs else []), Line2D([], [], **ring, color=MUTED, linewidth=FRONT, label="Pareto front")]


def _accuracies(axes: Any, data: pd.DataFrame, models: Sequence[str], of: str) -> None:
    axes.plot([0, 100], [0, 100], linestyle="--", color=MUTED, linewidth=0.8, zorder=0)
    _line(axes, data, CLEAN, WORST, f"front_{CLEAN}", 100.0)
    for row in data.to_dict("records"):
        point = (100 * row[CLEAN], 100 * row[WORST])
        _point(axes, models.index(row["model"]), point, _ends(row, CLEAN), _ends(row, WORST))
    axes.set_xlabel(f"accuracy as it is, {of}")
    axes.set_ylabel(f"worst case, {of}")
    axes.set_xlim(0, 104)
    axes.set_ylim(-4, 104)
    chance_line(axes, data, 100.0)
    chance_line(axes, data, 100.0, across=False)


def _cost(axes: Any, data: pd.DataFrame, cost: str, models: Sequence[str], of: str) -> None:
    axes.set_xscale("log")
    _line(axes, data, cost, ORBIT, f"front_{cost}", 1.0)
    for row in data.to_dict("records"):
        i, x = models.index(row["model"]), row[cost]
        clean, robust = 100 * row[CLEAN], 100 * row[ORBIT]
        color, marker, gid = (look(i)[name] for name in ("color", "marker", "gid"))
        axes.add_line(Line2D([x, x], [clean, robust], color=color, linewidth=0.8, linestyle=":", gid=gid))
        hollow = {"marker": marker, "markersize": 4.5, "markerfacecolor": "none"}
        axes.add_line(Line2D([x], [clean], color=color, gid=gid, **hollow))
        _point(axes, i, (x, robust), [], _ends(row, ORBIT))
    axes.set_ylim(0, 104)
    chance_line(axes, data, 100.0)
    axes.set_xlabel(COSTS[cost] + (", more is better" if cost == SPEED else ""))
    axes.set_ylabel(f"orbit accuracy, {of}")
    axes.xaxis.set_major_locator(FixedLocator(ticks(data[cost].min(), data[cost].max())))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(data[cost].min() / 1.6, data[cost].max() * 1.6)


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """A few round numbers on a logarithmic axis; the ends where there are none between them."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [step * 10.0**n for n in decades for step in steps if low / 1.3 <= step * 10.0**n <= high * 1.3]
        if 2 <= len(found) <= most:
            return found
    return found[:: -(-len(found) // most)] if len(found) > most else sorted({low, high})


def short(value: float) -> str:
    """``30 k``, ``1.5 M``, ``500``."""
    for limit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.2g} {letter}" if value < 100 * limit else f"{value / limit:.0f} {letter}"
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"


def _point(axes: Any, i: int, point: tuple[float, float], across: Sequence[float], up: Sequence[float]) -> None:
    """A marker with its intervals, drawn by hand: far quicker than ``errorbar`` where models are many."""
    shown, (x, y) = look(i), point
    bars = {"color": shown["color"], "gid": shown["gid"], "linewidth": 0.9}
    axes.add_line(Line2D([x], [y], **{**shown, "linestyle": "none"}, markersize=4.5))
    axes.add_line(Line2D([x, x], list(up), **bars))
    if across:
        axes.add_line(Line2D(list(across), [y, y], **bars))


def _ends(row: dict[Any, Any], metric: str) -> list[float]:
    return [100 * row[f"{metric}_low"], 100 * row[f"{metric}_high"]]


def _line(axes: Any, data: pd.DataFrame, x: str, y: str, marked: str, factor: float) -> None:
    """The front as a staircase, and a ring around every point that is on it."""
    best = data[data[marked]].sort_values(x)
    xs, ys = factor * best[x].to_numpy(dtype=float), 100 * best[y].to_numpy(dtype=float)
    where = "pre" if x in {SPEED, CLEAN} else "post"
    axes.plot(xs, ys, drawstyle=f"steps-{where}", color=MUTED, linewidth=FRONT, zorder=0)
    axes.plot(xs, ys, "o", markersize=10, markerfacecolor="none", markeredgecolor=MUTED, markeredgewidth=0.8)
