"""Accuracy as it is, over the orbit and in the worst case, side by side, and how the ranking changes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from symbench.algebra.metrics import role_of
from symbench.read.report import chance
from symbench.read.report.scene import Scene
from symbench.read.report.style import Sketch, chance_line, legend, legend_inches, look
from symbench.read.report.tables import share_of, whole

CLEAN, ORBIT, WORST = (role_of(role) for role in ("as it is", "orbit mean", "worst case"))
STAGES = {CLEAN: "as it is", ORBIT: "orbit mean", WORST: "worst case"}
"""The three accuracies, with what they are called along the axis."""


@dataclass(frozen=True)
class Ranked:
    """The three accuracies of every model under one symmetry.

    Attributes:
        dataset: its name.
        symmetry: its name.
        output: the model's.
        rows: ``model`` and for every stage ``<metric>``, ``<metric>_low``, ``<metric>_high`` and ``<metric>_rank``,
            1 for the best; models that tie share the better rank. ``chance`` is the same for all.
        of: what accuracy is of, as it stands behind numbers: ``%``, or ``% of places``.
    """

    dataset: str
    symmetry: str
    output: str
    rows: pd.DataFrame
    of: str = "%"


def of(whole: pd.DataFrame) -> list[Ranked]:
    """Every symmetry under which accuracy is measured.

    Args:
        whole: estimates over all elements, see :func:`~symbench.read.report.tables.whole`.
    """
    found = []
    mine = whole[whole["metric"].isin(list(STAGES)) & whole["estimate"].notna()]
    for (dataset, symmetry, output), group in mine.groupby(["dataset", "symmetry", "output"], sort=False):
        table = group.pivot_table(
            index="model", columns="metric", values=["estimate", "low", "high"], sort=False, dropna=False
        )
        if not all(("estimate", metric) in table for metric in STAGES):
            continue
        place = (whole["dataset"] == dataset) & (whole["symmetry"] == symmetry) & (whole["output"] == output)
        rows = pd.DataFrame({"model": table.index, "chance": chance.level(whole[place])})
        for metric in STAGES:
            estimate = table["estimate", metric].to_numpy(dtype=float)
            rows[metric] = estimate
            for side in ("low", "high"):
                rows[f"{metric}_{side}"] = table[side, metric].to_numpy(dtype=float)
            rows[f"{metric}_rank"] = pd.Series(estimate).round(12).rank(ascending=False, method="min").astype("Int64")
        found.append(Ranked(str(dataset), str(symmetry), str(output), rows, share_of(set(group["task"].dropna()))))
    return found


def sketches(scene: Scene) -> Iterator[Sketch]:
    """A plot for each output that has the three accuracies."""
    ranked = of(whole(scene.estimates))
    for found in ranked:
        alt = "Accuracy in three columns, as it is, over the orbit and in the worst case, a line for each model. "
        alt += in_words(found.rows)
        more = (found.output,) if len(ranked) > 1 else ()
        title = f"As it is, over the orbit, in the worst case: {scene.name}"
        yield Sketch(title, alt, figure_of(found.rows, scene.models, found.of), found.rows, more)


def in_words(rows: pd.DataFrame, most: int = 12) -> str:
    """Each model's three accuracies, and chance."""
    each = [
        f"{row['model']}: {', '.join(f'{100 * row[metric]:.0f}' for metric in STAGES)} %"
        for row in rows.head(most).to_dict("records")
    ]
    rest = [f"and {len(rows) - most} more models"] if len(rows) > most else []
    level = float(rows["chance"].iloc[0])
    return "; ".join([*each, *rest]) + "." + ("" if math.isnan(level) else f" Chance is {100 * level:.0f} %.")


def figure_of(rows: pd.DataFrame, models: Sequence[str], of: str = "%") -> Figure:
    """A line for each model over the three stages, with 95 % intervals, and chance; lines that cross change ranks.

    Args:
        rows: of :class:`Ranked`.
        models: all of the report's, in the order of their looks.
        of: what accuracy is of.
    """
    names = [str(name) for name in rows["model"]]
    figure = Figure(figsize=(3.2 + legend_inches(names), 2.9), layout="constrained")
    axes: Any = figure.add_subplot()
    for number, row in enumerate(rows.to_dict("records")):
        shown = look(models.index(row["model"]))
        offset = 0.16 * (number / max(len(names) - 1, 1) - 0.5)  # intervals side by side
        x = [stage + offset for stage in range(len(STAGES))]
        y = [100 * row[metric] for metric in STAGES]
        below = [100 * max(row[metric] - row[f"{metric}_low"], 0) for metric in STAGES]
        above = [100 * max(row[f"{metric}_high"] - row[metric], 0) for metric in STAGES]
        axes.plot(x, y, markersize=4, **shown)
        axes.vlines(
            x, [v - b for v, b in zip(y, below, strict=True)], [v + a for v, a in zip(y, above, strict=True)],
            color=shown["color"], linewidth=1.0, gid=shown["gid"],
        )  # fmt: skip
    axes.set_xticks(range(len(STAGES)), list(STAGES.values()))
    axes.set_xlim(-0.3, len(STAGES) - 0.7)
    axes.set_ylim(0, 103)
    axes.set_ylabel(f"accuracy, {of}")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    chance_line(axes, rows, 100.0)
    legend(figure, models, names)
    return figure
