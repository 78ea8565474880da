"""How figures look: one cycle of colours, lines and markers for all, and a figure that is ready to be written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe & Ito's: told apart by all common kinds of colour vision. The page has a lighter one for dark rooms."""
INK, MUTED, GRID, PAPER = "#1a1c1f", "#737980", "#dfe2e6", "#ffffff"
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
MARKERS = "osD^vPX*"
GLYPHS = "●■◆▲▼✚✖★"
"""The same markers as text."""
STYLE: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=list(PALETTE)),
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "text.parse_math": False,  # names may hold dollars
    "svg.fonttype": "none",
    "svg.hashsalt": "symbench",
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
}
MANY = 16
"""Models in one column of a legend."""


@dataclass(frozen=True)
class Sketch:
    """A figure before it is written.

    Attributes:
        title: its heading.
        alt: what it shows, for those who do not see it.
        figure: itself.
        data: what it was drawn from.
        more: what tells it from others of one symmetry and dataset, for the names of its files.
    """

    title: str
    alt: str
    figure: Figure
    data: pd.DataFrame
    more: tuple[str, ...] = ()


def look(i: int) -> dict[str, Any]:
    """Colour, line and marker of model ``i``; the three together repeat late."""
    return {
        "color": PALETTE[i % len(PALETTE)],
        "linestyle": LINES[(i + i // len(PALETTE)) % len(LINES)],
        "marker": MARKERS[i % len(MARKERS)],
        "gid": gid(i),
    }


def gid(i: int) -> str:
    """The name under which the page finds what belongs to model ``i``."""
    return f"model:{i}"


def legend(figure: Figure, models: Sequence[str], names: Sequence[str], *, lines: bool = True) -> None:
    """A legend of the models beside the figure.

    Args:
        figure: with constrained layout.
        models: all of the report's, in the order of their looks.
        names: those in the figure.
        lines: whether they are drawn as lines.
    """
    handles = []
    for name in names:
        shown = look(models.index(name))
        handles.append(
            Line2D([], [], **{**shown, "linestyle": shown["linestyle"] if lines else "none"}, markersize=4)
        )
    size = 8.0 if len(names) <= MANY else 6.5
    found = figure.legend(
        handles, [f" {name}" for name in names], loc="outside right upper", frameon=False, fontsize=size,
        ncols=-(-len(names) // MANY), handlelength=2.6, labelspacing=0.4,
    )  # fmt: skip
    for name, text, line in zip(names, found.get_texts(), found.get_lines(), strict=True):
        text.set_gid(gid(models.index(name)))
        line.set_gid(gid(models.index(name)))


def chance_line(
    axes: Any, data: pd.DataFrame, factor: float, *, across: bool = True, label: str = "chance", **look: Any
) -> None:
    """Draw chance, where the data know it, as a dotted line with its name at the end; a circle in polar axes.

    Args:
        axes: of accuracies.
        data: with ``chance``, the same in all rows; NaN and no such column draw nothing.
        factor: 100 where accuracies are in %.
        across: along the horizontal axis, else along the vertical one.
        label: its name; empty for none.
        look: of the line, where it is another than elsewhere.
    """
    levels = data["chance"].dropna() if "chance" in data else data.iloc[:0, 0]
    if levels.empty:
        return
    value = factor * float(levels.iloc[0])
    dots: dict[str, Any] = {"color": MUTED, "linewidth": 1.0, "linestyle": (0, (1, 1.6)), "zorder": 0.5, **look}
    text: dict[str, Any] = {"color": MUTED, "fontsize": 7.0}
    if axes.name == "polar":
        axes.plot([math.radians(angle) for angle in range(361)], [value] * 361, **dots)
        axes.text(math.radians(247.5), value, label, ha="right", va="top", **text)
    elif across:
        axes.axhline(value, **dots)
        axes.text(1.01, value, label, transform=axes.get_yaxis_transform(), ha="left", va="center", **text)
    else:
        axes.axvline(value, **dots)


LOGARITHMIC = 8
"""Values that span more than so many times the least are drawn along their logarithm."""


def logarithmic_where_wide(axes: Any, least: float, most: float) -> None:
    """Draw the vertical axis along its logarithm where values span much, with plain numbers: 0.02, 0.05, 0.1."""
    if least > 0 and most > LOGARITHMIC * least:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def legend_inches(names: Sequence[str]) -> float:
    """About how wide a legend is."""
    longest = max((len(name) for name in names), default=0)
    columns = -(-len(names) // MANY)
    return columns * (0.5 + longest * (0.075 if columns == 1 else 0.06))


def span(data: pd.DataFrame, column: str = "estimate", most: int = 12) -> str:
    """Each model's least and largest value, in words, and chance where the data know it."""
    spans = data.groupby("model", sort=False)[column].agg(["min", "max"])
    told = [f"{model}: {100 * row['min']:.0f} to {100 * row['max']:.0f} %" for model, row in spans.iterrows()]
    rest = [f"and {len(told) - most} more models"] if len(told) > most else []
    levels = data["chance"].dropna() if "chance" in data else data.iloc[:0, 0]
    chance = f" Chance is {100 * float(levels.iloc[0]):.0f} %." if len(levels) else ""
    return "; ".join([*told[:most], *rest]) + "." + chance
