"""How models learnt: loss and accuracy over the epochs, replicas as thin lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from symbench.base.records import Manifest
from symbench.measure.store import Store
from symbench.measure.suite.studies import arm_of
from symbench.read.report.material import Material, Part
from symbench.read.report.style import Sketch, gid, legend, legend_inches, logarithmic_where_wide, look

PANELS = {
    "loss": "training loss",
    "accuracy": "training accuracy, %",
    "validation_loss": "validation loss",
    "validation_accuracy": "validation accuracy, %",
}
"""What is drawn of a curve, where it is known of some model, and what its axis says."""
SHARES = {"accuracy", "validation_accuracy"}
MOST_MODELS, MOST_REPLICAS, MOST_POINTS = 16, 5, 40
"""Models, trainings of each and epochs of each that are drawn at most: a figure stays below half a megabyte."""
THIN = 0.5
"""The width of a replica's line."""


def sketches(material: Material) -> Iterator[Sketch]:
    """The figure of all models that were trained here over two epochs or more; none without any."""
    data = curves(material)
    if data.empty:
        return
    names = [name for name in material.models if (data["model"] == name).any()]
    shown, title = names[:MOST_MODELS], "Training"
    if len(names) > len(shown):
        title = f"Training: the first {len(shown)} of {len(names)} models"
    data = data[data["model"].isin(shown) & (data["replica"] < MOST_REPLICAS)]
    alt = "Loss and accuracy over the epochs of training, one colour for each model; replicas are thin lines."
    yield Sketch(title, alt, figure_of(data, material.models, shown), data)


def curves(material: Material) -> pd.DataFrame:
    """Every training's curve: a row for each epoch, the model as the report calls it, which replica it is."""
    rows = [row for part in material.parts for row in _of_part(part)]
    return pd.DataFrame(rows, columns=["model", "replica", "epoch", "step", *PANELS])


def _of_part(part: Part) -> Iterator[dict[str, Any]]:
    first: dict[str, str] = {}
    counts: dict[str, int] = {}
    for model, curve in _trained(part.store, part.manifest):
        arm = _arm(model, part.manifest.suite["models"].get(model))
        name = first.setdefault(arm, part.names.get(model, model))
        replica = counts.setdefault(arm, 0)
        counts[arm] += 1
        yield from ({"model": name, "replica": replica, **point} for point in curve)


def _arm(model: str, entry: Any) -> str:
    swept = entry.get("swept") if isinstance(entry, Mapping) else None
    return model if swept is None else arm_of(swept["of"], swept["values"], None)


def _trained(store: Store, manifest: Manifest) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Models with their curves, each from its first cell that has one: a point for each epoch."""
    seen = set()
    for cell in manifest.cells:
        record = store.cell(cell.key) if cell.status != "failed" and cell.model not in seen else None
        if record is None or record.training is None:
            continue
        seen.add(cell.model)
        columns = record.training.model_dump()
        points = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        if len(points) > 1:
            yield cell.model, _some(points)


def _some(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    count = min(len(points), MOST_POINTS)
    return [points[i] for i in np.linspace(0, len(points) - 1, count).round().astype(int)]


def figure_of(data: pd.DataFrame, models: list[str], names: list[str]) -> Figure:
    """A panel for each of :data:`PANELS` that is known.

    Args:
        data: rows of :func:`curves`.
        models: all of the report's, in the order of their looks.
        names: those that are drawn.
    """
    panels = {column: label for column, label in PANELS.items() if data[column].notna().any()}
    wide, high = min(2, len(panels)), -(-len(panels) // 2)
    figure = Figure(figsize=(2.9 * wide + legend_inches(names), 2.5 * high), layout="constrained")
    grid: Any = figure.subplots(high, wide, squeeze=False, sharex=True)
    for axes, (column, label) in zip(grid.flat, panels.items(), strict=False):
        factor = 100.0 if column in SHARES else 1.0
        for name in names:
            _draw(axes, data[data["model"] == name], column, factor, models.index(name))
        if column not in SHARES:
            logarithmic_where_wide(axes, data[column].min(), data[column].max())
        axes.set_ylabel(label)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("epochs", fontsize=9)
    legend(figure, models, names)
    return figure


def _draw(axes: Any, rows: pd.DataFrame, column: str, factor: float, i: int) -> None:
    """The mean of a model's trainings, and each of them as a thin line where there are several."""
    table = rows.pivot_table(index="epoch", columns="replica", values=column, dropna=False)
    if table.empty:
        return
    shown = look(i)
    if table.shape[1] > 1:
        for _, values in table.items():
            known = values.dropna()
            axes.plot(known.index, factor * known, color=shown["color"], linewidth=THIN, alpha=0.5, gid=gid(i))
    mean = factor * table.dropna().mean(
        axis=1
    )  # where all go on: one that stopped early would change who is averaged
    axes.plot(mean.index, mean, **{**shown, "marker": "none"})
