"""Figures: accuracy over angle, over shifts, and upright against worst case. Matplotlib, no display needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from symbench.store import write_text, written

STYLE: dict[Any, Any] = {
    "axes.prop_cycle": cycler(  # Okabe & Ito: told apart by all common kinds of colour vision
        color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
    ),
    "font.size": 9.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "symbench",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
}
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MARKERS = "osD^vPX*"
FEWEST_ANGLES = 8
"""Below this a polar curve says less than the table."""

Elements = Mapping[tuple[str, str], pd.DataFrame]


@dataclass(frozen=True)
class Drawn:
    """A figure on disk.

    Attributes:
        title: its heading.
        alt: what it shows, for those who do not see it.
        image: the file to show, relative to the report.
        paths: all its files, its data as CSV among them.
    """

    title: str
    alt: str
    image: str
    paths: list[Path]


def draw(frame: pd.DataFrame, elements: Elements, folder: Path, formats: Sequence[str]) -> list[Drawn]:
    """Draw every figure that the estimates allow, and write it in every format with its data beside it.

    Args:
        frame: estimates.
        elements: of every (symmetry, dataset), with their parameters.
        folder: where to.
        formats: ``svg``, ``png``.
    """
    accuracy = frame[(frame["metric"] == "element_accuracy") & frame["estimate"].notna()]
    found = []
    with rc_context(STYLE):
        for name, title, alt, figure, data in [*_curves(accuracy, elements), *_worst(frame)]:
            paths = []
            for kind in formats:
                path = folder / f"{name}.{kind}"
                with written(path) as temporary:
                    metadata = {"Date": None} if kind == "svg" else {"Software": None}
                    figure.savefig(temporary, format=kind, bbox_inches="tight", metadata=metadata)
                paths.append(path)
            write_text(folder / f"{name}.csv", data.to_csv(index=False))
            found.append(Drawn(title, alt, paths[-1].name, [*paths, folder / f"{name}.csv"]))
    return found


Sketch = tuple[str, str, str, Figure, pd.DataFrame]


def _curves(accuracy: pd.DataFrame, elements: Elements) -> Iterator[Sketch]:
    for (symmetry, dataset), table in elements.items():
        mine = accuracy[(accuracy["symmetry"] == symmetry) & (accuracy["dataset"] == dataset)]
        if mine.empty:
            continue
        data = mine.merge(table, on="element")
        if "angle_deg" in table and not {"mirror", "dy_px"} & set(table) and len(table) >= FEWEST_ANGLES:
            title = f"Accuracy over angle: {symmetry} on {dataset}"
            alt = f"Polar plot of accuracy against the angle of rotation, one curve for each model. {_ranges(data)}"
            yield f"polar.{symmetry}.{dataset}", title, alt, polar(data), data
        elif "dy_px" in table and "angle_deg" not in table:
            title = f"Accuracy over shifts: {symmetry} on {dataset}"
            alt = f"Heat maps of accuracy over vertical and horizontal shifts, one for each model. {_ranges(data)}"
            yield f"shifts.{symmetry}.{dataset}", title, alt, heat_maps(data), data


def _ranges(data: pd.DataFrame) -> str:
    spans = data.groupby("model", sort=False)["estimate"].agg(["min", "max"])
    return " ".join(
        f"{model}: {100 * row['min']:.0f} to {100 * row['max']:.0f} %." for model, row in spans.iterrows()
    )


def polar(data: pd.DataFrame) -> Figure:
    """Accuracy as the radius, the angle of rotation counter-clockwise from the right; bands are intervals.

    Args:
        data: rows with ``model``, ``angle_deg``, ``estimate``, ``low``, ``high``.
    """
    figure = Figure(figsize=(5.4, 4.2))
    axes: Any = figure.add_subplot(projection="polar")
    for i, (model, rows) in enumerate(data.groupby("model", sort=False)):
        ordered = rows.sort_values("angle_deg")
        closed = pd.concat([ordered, ordered.iloc[:1]])
        angle = np.deg2rad(closed["angle_deg"].to_numpy())
        (line,) = axes.plot(
            angle,
            closed["estimate"],
            linestyle=LINES[i % len(LINES)],
            marker=MARKERS[i % len(MARKERS)],
            markersize=3,
            label=model,
        )
        axes.fill_between(angle, closed["low"], closed["high"], color=line.get_color(), alpha=0.18, linewidth=0)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.25, 0.5, 0.75, 1.0], ["25", "50", "75", "100 %"])
    axes.set_rlabel_position(67.5)
    axes.legend(loc="upper left", bbox_to_anchor=(1.08, 1.0), frameon=False)
    return figure


def heat_maps(data: pd.DataFrame) -> Figure:
    """Accuracy over (dy, dx), a panel for each model on one colour scale; the unshifted place is framed.

    Args:
        data: rows with ``model``, ``dy_px``, ``dx_px``, ``estimate``.
    """
    models = list(data["model"].unique())
    columns = min(4, len(models))
    lines = -(-len(models) // columns)
    figure = Figure(figsize=(2.2 * columns + 0.8, 2.3 * lines + 0.3), layout="constrained")
    grid: Any = figure.subplots(lines, columns, squeeze=False)
    shown = None
    for axes, model in zip(grid.flat, models, strict=False):
        square = data[data["model"] == model].pivot(index="dy_px", columns="dx_px", values="estimate")
        reach = int(max(abs(data["dy_px"]).max(), abs(data["dx_px"]).max()))
        side = np.arange(-reach, reach + 1)
        square = square.reindex(index=side, columns=side)  # shifts that were not drawn stay empty
        x, y = side, side
        edges = (x[0] - 0.5, x[-1] + 0.5, y[-1] + 0.5, y[0] - 0.5)
        shown = axes.imshow(square.to_numpy(), vmin=0, vmax=1, cmap="cividis", extent=edges)
        axes.add_patch(Rectangle((-0.5, -0.5), 1, 1, fill=False, edgecolor="white", linewidth=1.2))
        axes.set_title(model, fontsize=9)
        axes.spines[:].set_visible(False)
    for axes in grid.flat[len(models) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("down, px")
    for axes in grid[-1, :]:
        axes.set_xlabel("right, px")
    if shown is not None:
        figure.colorbar(shown, ax=grid, label="accuracy", shrink=0.9)
    return figure


def _worst(frame: pd.DataFrame) -> Iterator[Sketch]:
    whole = frame[
        frame["element"].isna()
        & frame["symmetry"].notna()
        & frame["metric"].isin(["accuracy", "worst_case_accuracy"])
    ]
    mixed = whole.groupby(["model", "dataset", "symmetry"])["elements"].transform(
        lambda kinds: (kinds == "all").any()
    )
    whole = whole[~mixed | (whole["elements"] == "all")]
    data = whole.pivot_table(
        index=["dataset", "symmetry", "model", "k"],
        columns="metric",
        values=["estimate", "low", "high"],
        sort=False,
    )
    if data.empty or ("estimate", "worst_case_accuracy") not in data.columns:
        return
    data.columns = [f"{name[1]}_{name[0]}" for name in data.columns.to_list()]
    data = data.reset_index()
    panels = list(data.groupby(["dataset", "symmetry"], sort=False))
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(2.5 * columns + 1.4, 2.5 * lines), layout="constrained")
    grid: Any = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    names = list(data["model"].unique())
    for axes, (key, rows) in zip(grid.flat, panels, strict=False):
        _worst_panel(axes, str(key[1]), rows, names)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    figure.supxlabel("accuracy as it is, %")
    figure.supylabel("accuracy in the worst case, %")
    handles = {h.get_label(): h for axes in grid.flat for h in axes.get_legend_handles_labels()[0]}
    figure.legend(handles=list(handles.values()), loc="outside right upper", frameon=False)
    alt = "Accuracy against worst-case accuracy, one for each symmetry; on the diagonal nothing is lost."
    yield "worst-case", "Accuracy against worst case", alt, figure, data


def _worst_panel(axes: Any, symmetry: str, rows: pd.DataFrame, names: Sequence[str]) -> None:
    axes.plot([0, 100], [0, 100], linestyle="--", color="0.6", linewidth=0.8, zorder=0)
    for row in rows.to_dict("records"):
        i = names.index(row["model"])
        x, y = 100 * row["accuracy_estimate"], 100 * row["worst_case_accuracy_estimate"]
        spread_x = [[x - 100 * row["accuracy_low"]], [100 * row["accuracy_high"] - x]]
        spread_y = [[y - 100 * row["worst_case_accuracy_low"]], [100 * row["worst_case_accuracy_high"] - y]]
        axes.errorbar(
            x,
            y,
            xerr=np.maximum(spread_x, 0),
            yerr=np.maximum(spread_y, 0),
            color=f"C{i}",
            marker=MARKERS[i % len(MARKERS)],
            linestyle="none",
            markersize=5,
            label=row["model"],
        )
    axes.set_title(f"{symmetry}, K = {int(rows['k'].iloc[0])}", fontsize=9)
    axes.set_xlim(0, 104)
    axes.set_ylim(-4, 104)
