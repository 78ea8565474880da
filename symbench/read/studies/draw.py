"""The figure of each answer. Matplotlib, no display."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from symbench.read.report.style import (
    INK,
    LOGARITHMIC,
    MUTED,
    Sketch,
    legend,
    legend_inches,
    logarithmic_where_wide,
    look,
)  # fmt: skip
from symbench.read.studies.answer import Answer

WIDE, HIGH = 4.6, 2.9
"""Inches of a figure without its legend."""
LINE = 0.34
"""Inches of one arm where arms stand below one another."""
DOTTED = (0, (1, 1.6))
"""The line of a value that is no arm's."""


def sketch(number: int, answer: Answer) -> Iterator[Sketch]:
    """The figure of an answer; none where there is no answer."""
    draw = DRAWN.get(answer.ask)
    if draw is None or answer.frame.empty:
        return
    alt = f"{answer.title}: the estimates of the text beside it with their intervals."
    yield Sketch(answer.title, alt, draw(answer), answer.frame, (str(number),))


def _means(answer: Answer) -> Figure:
    """Arms along what is swept over, or below one another where nothing is."""
    frame = answer.frame
    return _along(answer) if frame["at"].notna().any() and frame["at"].nunique() > 1 else _below(answer)


def _along(answer: Answer) -> Figure:
    frame, row = answer.frame, answer.about["row"]
    factor = 100.0 if row.written_as == "percent" else 1.0
    arms = list(dict.fromkeys(frame["arm"]))
    figure = Figure(figsize=(WIDE + legend_inches(arms), HIGH), layout="constrained")
    axes: Any = figure.subplots()
    numeric = pd.to_numeric(frame["at"], errors="coerce")
    ticks = list(dict.fromkeys(frame["at"]))
    places = numeric if numeric.notna().all() else frame["at"].map({at: i for i, at in enumerate(ticks)})
    for i, arm in enumerate(arms):
        mine = frame["arm"] == arm
        x, y = places[mine].to_numpy(dtype=float), factor * frame["estimate"][mine].to_numpy(dtype=float)
        axes.plot(x, y, markersize=4, **look(i))
        if "low" in frame and frame["low"][mine].notna().all():
            low, high = (factor * frame[name][mine].to_numpy(dtype=float) for name in ("low", "high"))
            axes.fill_between(x, low, high, color=look(i)["color"], alpha=0.15, linewidth=0)
        if "expected" in frame and frame["expected"][mine].notna().any():
            expected = factor * frame["expected"][mine].to_numpy(dtype=float)
            axes.plot(x, expected, linestyle="none", marker="x", markersize=7, color=INK, zorder=5)
    _ticks(axes, places.unique(), [str(tick) for tick in ticks], spread=bool(numeric.notna().all()))
    if factor == 1.0:
        logarithmic_where_wide(axes, frame["estimate"].min(), frame["estimate"].max())
    _ceiling(axes.axhline, answer, factor)
    axes.set_xlabel(str(answer.about["over"]).replace("_", " "))
    axes.set_ylabel(f"{answer.about['label']}{', %' if factor > 1 else ''}")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    legend(figure, arms, arms)
    return figure


def _ticks(axes: Any, places: Any, texts: Sequence[str], *, spread: bool) -> None:
    """Ticks at the values that were swept over, along their logarithm where numbers span much."""
    known = np.asarray(places, dtype=float)
    if spread and known.min() > 0 and known.max() > LOGARITHMIC * known.min():
        axes.set_xscale("log")
    axes.set_xticks(known, texts)
    axes.minorticks_off()


def _below(answer: Answer) -> Figure:
    row = answer.about["row"]
    factor = 100.0 if row.written_as == "percent" else 1.0
    label = f"{answer.about['label']}{', %' if factor > 1 else ''}"
    figure = _forest(answer.frame, "estimate", "low", "high", factor, label)
    _ceiling(figure.axes[0].axvline, answer, factor)
    return figure


def _ceiling(line: Callable[..., Any], answer: Answer, factor: float) -> None:
    """What no invariant model passes, dotted."""
    if "ceiling" in answer.about:
        line(factor * answer.about["ceiling"], color=MUTED, linewidth=1.0, linestyle=DOTTED, zorder=0.5)


def _breaking(answer: Answer) -> Figure:
    label = "share of the squared deviation that all trainings have in common, %"
    figure = _forest(answer.frame, "share_estimate", "share_low", "share_high", 100.0, label)
    figure.axes[0].axvline(0, color=MUTED, linewidth=1.0, linestyle=DOTTED, zorder=0.5)
    return figure


def _forest(frame: pd.DataFrame, estimate: str, low: str, high: str, factor: float, label: str) -> Figure:
    """One line for each arm, the first on top: an estimate with its interval."""
    arms = list(frame["arm"])
    figure = Figure(figsize=(WIDE + 1.2, 0.9 + LINE * len(arms)), layout="constrained")
    axes: Any = figure.subplots()
    for i in range(len(arms)):
        line = frame.iloc[i]
        shown = {key: value for key, value in look(i).items() if key != "linestyle"}
        axes.plot([factor * line[estimate]], [i], markersize=5, linestyle="none", **shown)
        if pd.notna(line[low]):
            axes.plot([factor * line[low], factor * line[high]], [i, i], color=look(i)["color"], linewidth=1.4)
        if "expected" in frame and pd.notna(line.get("expected")):
            axes.plot([factor * line["expected"]], [i], marker="x", markersize=8, color=INK, zorder=5)
    axes.set_yticks(range(len(arms)), arms)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_xlabel(label)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    return figure


DRAWN: dict[str, Callable[[Answer], Figure]] = {"means": _means, "exchange": _along, "breaking": _breaking}
