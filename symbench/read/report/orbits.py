"""Single samples over their orbits: which are worst, and at which elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from symbench.algebra.metrics.base import Observed
from symbench.algebra.metrics.places import unit_of
from symbench.base.records import CellRecord
from symbench.read.estimates.reading import Reading, outputs_of
from symbench.read.report.scene import Measured, Scene
from symbench.read.report.style import GRID, INK, MUTED, Sketch, gid, look

MOST_DOTS, LINES, NAMED = 2000, 10, 5
"""Samples in the scatter, those with a line of their own, and those whose numbers stand beside them."""
COLUMNS = ("deviation_sq", "place_mean")


def sketches(scene: Scene) -> Iterator[Sketch]:
    """For each model and output: samples by their mean and largest deviation, and the orbits of the worst."""
    for measured in scene.measured:
        record = measured.cells.cell(measured.key)
        if record is None or len(record.elements) < 3:
            continue
        for reading in outputs_of(measured.cells, record):
            data, unit = orbits(reading)
            if data.empty:
                continue
            output = f", {reading.output}" if len(record.outputs) > 1 else ""
            worst = ", ".join(str(sample) for sample in data["sample"].drop_duplicates().head(NAMED))
            alt = f"Deviation of single samples over their orbits, for {measured.model}{output}. Worst: {worst}."
            figure = figure_of(data, unit, record, scene.models.index(measured.model))
            title = f"Single samples: {measured.model}, {scene.name}{output}"
            yield Sketch(title, alt, figure, data.drop(columns="others"), _more(measured, record, reading))


def _more(measured: Measured, record: CellRecord, reading: Reading) -> tuple[str, ...]:
    return (measured.model, reading.output) if len(record.outputs) > 1 else (measured.model,)


def orbits(reading: Reading) -> tuple[pd.DataFrame, str]:
    """The orbits of a cell's samples, the worst first, and the unit of their deviations.

    Returns:
        A row for each moved element of the ``LINES`` worst samples, and one without element for each other sample;
        with ``sample``, ``mean``, ``largest``, ``element`` and ``deviation``. ``others`` says which are the latter.
        Empty where nothing deviates.
    """
    factor, unit = unit_of(reading.context)
    by_place = reading.context.axis is not None
    rows: list[tuple[float, float, int]] = []
    kept: dict[int, np.ndarray] = {}
    for tile in reading.tiles(COLUMNS):
        off = _deviations(tile, factor if by_place else None)
        rows += zip(off.max(axis=0).tolist(), off.mean(axis=0).tolist(), tile.samples.tolist(), strict=True)
        kept |= {sample: off[:, i] for i, sample in enumerate(tile.samples.tolist())}
        worst = {sample for *_, sample in sorted(rows, key=_worst_first)[:LINES]}
        kept = {sample: values for sample, values in kept.items() if sample in worst}
    ordered = sorted(rows, key=_worst_first)[:MOST_DOTS]
    if not ordered or not ordered[0][0] > 0:
        return pd.DataFrame(), unit
    return pd.DataFrame(list(_rows(ordered, kept))), unit if by_place else reading.context.unit


def _worst_first(row: tuple[float, float, int]) -> tuple[float, int]:
    return -row[0], row[2]


def _deviations(tile: Observed, factor: float | None) -> np.ndarray:
    """Of each moved element and sample ``(k - 1, n)``: at a place where that is known, else of the whole output."""
    if factor is None or tile.place_mean is None:
        found: np.ndarray = np.sqrt(tile.deviation_sq[1:])
        return found
    return factor * tile.place_mean[1:]


def _rows(ordered: Sequence[tuple[float, float, int]], kept: Mapping[int, np.ndarray]) -> Iterator[dict[str, Any]]:
    for largest, mean, sample in ordered:
        known = {"sample": sample, "mean": mean, "largest": largest}
        if sample not in kept:
            yield {**known, "element": None, "deviation": np.nan, "others": True}
            continue
        for element, value in enumerate(kept[sample].tolist(), 1):
            yield {**known, "element": element, "deviation": value, "others": False}


def figure_of(data: pd.DataFrame, unit: str, record: CellRecord, model: int) -> Figure:
    """Left a dot for each sample, right a thin line for each of the worst over the elements, by their sizes.

    Args:
        data: of :func:`orbits`.
        unit: of deviations.
        record: of the cell.
        model: its number in the report.
    """
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    axes: Any = figure.subplots(1, 2, width_ratios=(1, 1.6))
    _scatter(axes[0], data.drop_duplicates("sample"), model)
    _lines(axes[1], data[~data["others"]], record, model)
    axes[0].set_xlabel(f"mean over the orbit, {unit}")
    axes[0].set_ylabel(f"largest, {unit}")
    axes[1].set_xlabel(f"size of the element, {record.size_unit}")
    axes[1].set_ylabel(f"deviation, {unit}")
    for each in axes:
        each.set_ylim(bottom=0)
        each.grid(axis="y")
        each.set_axisbelow(True)
    return figure


def _scatter(axes: Any, samples: pd.DataFrame, model: int) -> None:
    colour = look(model)["color"]
    axes.plot(
        samples["mean"], samples["largest"], linestyle="none", marker="o", markersize=3, color=colour, alpha=0.6,
        gid=gid(model),
    )  # fmt: skip
    ends = [0.0, float(samples["largest"].max())]
    axes.plot(ends, ends, color=GRID, linewidth=0.8, zorder=0)  # a sample that deviates alike everywhere
    for row in samples.head(NAMED).to_dict("records"):
        axes.annotate(
            f"{row['sample']}", (row["mean"], row["largest"]), xytext=(3, 2), textcoords="offset points",
            fontsize=7, color=INK,
        )  # fmt: skip
    axes.set_xlim(left=0)


def _lines(axes: Any, rows: pd.DataFrame, record: CellRecord, model: int) -> None:
    sizes = pd.Series({each.element: each.size for each in record.elements})
    pieces = pd.Series({each.element: each.stratum or "" for each in record.elements})
    known = rows.assign(size=rows["element"].astype(int).map(sizes), piece=rows["element"].astype(int).map(pieces))
    named = list(known["sample"].drop_duplicates().head(NAMED))
    for sample, mine in known.groupby("sample", sort=False):
        for _, some in mine.groupby("piece", sort=False):
            ordered = some.sort_values("size")
            strong = sample in named[:1]
            axes.plot(
                ordered["size"], ordered["deviation"], linewidth=1.1 if strong else 0.6, gid=gid(model),
                color=look(model)["color"] if strong else MUTED, alpha=1.0 if strong else 0.6,
                zorder=3 if strong else 2,
            )  # fmt: skip
        if sample in named:
            last = mine.sort_values("deviation").to_dict("records")[-1]
            axes.annotate(
                f"{sample}", (last["size"], last["deviation"]), xytext=(0, 2), textcoords="offset points",
                fontsize=7, color=INK, ha="center",
            )  # fmt: skip
