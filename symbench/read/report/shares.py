"""Whose fault E is, as bars: the model's share, resampling's, and the floor below which nothing is resolved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from symbench.algebra.metrics import role_of
from symbench.read.report.scene import Scene
from symbench.read.report.style import INK, Sketch, gid

MODEL, RESAMPLING = role_of("the model's share"), role_of("resampling's share")
BARS = {  # hatches tell them apart in grey
    "model": ("the model's share", "#0072b2", ""),
    "resampling": ("resampling's", "#e69f00", "////"),
    "floor": ("floor: three times the reference's own error", "#b9bec4", ""),
}


def sketches(scene: Scene) -> Iterator[Sketch]:
    """A plot for a symmetry under which some model's E is split."""
    split = of(scene.estimates)
    if split.empty:
        return
    alt = "Bars of the model's share of E, resampling's share and the floor, for each model. " + " ".join(
        f"{row.model}: {row.model_share:.3g}, {row.resampling_share:.3g} and {row.floor_share:.3g}."
        for row in split.head(12).itertuples()
    )
    yield Sketch(f"Whose fault: {scene.name}", alt, figure_of(split, scene.models), split)


def of(group: pd.DataFrame) -> pd.DataFrame:
    """The split of each model's E under one symmetry.

    Args:
        group: its estimates.

    Returns:
        ``model``, and for ``model``, ``resampling`` and ``floor`` as bars the columns ``<bar>_share``,
        ``<bar>_low`` and ``<bar>_high``; no rows where nothing is split.
    """
    split = group[group["metric"].isin([MODEL, RESAMPLING]) & group["estimate"].notna()]
    rows = []
    for (model, output), mine in split.groupby(["model", "output"], sort=False):
        known = {str(row.metric): row for row in mine.itertuples()}
        if len(known) < 2:
            continue
        row: dict[str, Any] = {"model": str(model), "output": str(output)}
        for bar, metric in (("model", MODEL), ("resampling", RESAMPLING)):
            found: Any = known[metric]
            row |= {f"{bar}_share": found.estimate, f"{bar}_low": found.low, f"{bar}_high": found.high}
        own: Any = known[MODEL]
        row |= {"floor_share": own.floor, "floor_low": np.nan, "floor_high": np.nan}
        rows.append(row)
    return pd.DataFrame(rows)


def figure_of(data: pd.DataFrame, models: Sequence[str]) -> Figure:
    """Three bars for each model, with 95 % intervals, on a logarithmic scale.

    Args:
        data: rows of :func:`of`.
        models: all of the report's.
    """
    figure = Figure(figsize=(5.6, 0.9 + 0.55 * len(data)), layout="constrained")
    axes: Any = figure.add_subplot()
    shares = data[[f"{bar}_share" for bar in BARS]].to_numpy(dtype=float)
    least = float(shares[shares > 0].min(initial=1.0)) / 3
    for number, (bar, (words, color, hatch)) in enumerate(BARS.items()):
        y = np.arange(len(data)) + 0.26 * (number - 1)
        share = data[f"{bar}_share"].to_numpy(dtype=float)
        ends = [data[f"{bar}_{side}"].to_numpy(dtype=float) for side in ("low", "high")]
        spread = [np.nan_to_num(abs(end - share)) for end in ends]
        bars = axes.barh(
            y, np.maximum(share, least) - least, left=least, height=0.24, color=color, hatch=hatch,
            edgecolor="#fefefe", linewidth=0, label=words, xerr=None if bar == "floor" else spread,
            error_kw={"elinewidth": 0.9, "ecolor": INK},
        )  # fmt: skip
        for patch, model in zip(bars, data["model"], strict=True):
            patch.set_gid(gid(models.index(model)))
    several = data["output"].nunique() > 1
    names = [f"{row.model}, {row.output}" if several else str(row.model) for row in data.itertuples()]
    axes.set_xscale("log")
    axes.set_yticks(range(len(data)), [f" {name}" for name in names])
    axes.set_ylim(len(data) - 0.5, -0.5)
    axes.set_xlim(least, None)
    axes.set_xlabel("in units of E")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    figure.legend(loc="outside upper left", frameon=False, ncols=3, fontsize=8)
    return figure
