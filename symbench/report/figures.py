"""Every figure that a run's estimates allow, drawn and written with its data beside it. Matplotlib, no display."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context

from symbench.escape import csv_safe
from symbench.metrics import shown_in
from symbench.report import chance, curves, polar, ranks, shares, shifts, tradeoffs
from symbench.report.style import STYLE, Sketch, span
from symbench.report.tables import whole
from symbench.store import write_text, written

KINDS = ("svg", "png", "pdf")
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None},
}  # fmt: skip

Elements = Mapping[tuple[str, str], pd.DataFrame]


@dataclass(frozen=True)
class Drawn:
    """A figure on disk.

    Attributes:
        kind: which of the report's sections it is for.
        name: of its files.
        title: its heading.
        alt: what it shows, for those who do not see it.
        svg: itself, for the page.
        image: the file to show, relative to the report; None without one.
        data: what it was drawn from.
        paths: all its files, its data as CSV among them.
    """

    kind: str
    name: str
    title: str
    alt: str
    svg: str
    image: str | None
    data: pd.DataFrame
    paths: list[Path]


def draw(
    frame: pd.DataFrame,
    elements: Elements,
    units: Mapping[tuple[str, str], str],
    folder: Path,
    formats: Sequence[str],
    models: Sequence[str],
) -> list[Drawn]:
    """Draw every figure that the estimates allow, and write it in every format with its data beside it.

    Args:
        frame: estimates.
        elements: of every (symmetry, dataset), with their parameters.
        units: of their sizes.
        folder: where to.
        formats: ``svg``, ``png``, ``pdf`` are written; ``html`` wants the SVG.
        models: all of the report's, in the order of their looks.
    """
    found = []
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # names may be in any script
        for sketch in sketches(frame, elements, units, models):
            wanted = [kind for kind in KINDS if kind in formats or (kind == "svg" and "html" in formats)]
            sketch.figure.draw_without_rendering()
            sketch.figure.set_layout_engine("none")  # laid out once, the same in every format
            found.append(_write(sketch, {kind: _drawn(sketch, kind) for kind in wanted}, folder, formats))
    return found


def _write(sketch: Sketch, images: Mapping[str, bytes], folder: Path, formats: Sequence[str]) -> Drawn:
    paths = [folder / f"{sketch.name}.{kind}" for kind in images if kind in formats]
    for path in paths:
        with written(path) as temporary:
            temporary.write_bytes(images[path.suffix[1:]])
    shown = [path.name for path in paths if path.suffix != ".pdf"]
    if paths:
        write_text(folder / f"{sketch.name}.csv", csv_safe(sketch.data).to_csv(index=False))
        paths.append(folder / f"{sketch.name}.csv")
    svg = images.get("svg", b"").decode()
    return Drawn(
        sketch.kind, sketch.name, sketch.title, sketch.alt, svg, shown[-1] if shown else None, sketch.data, paths
    )


def _drawn(sketch: Sketch, kind: str) -> bytes:
    buffer = BytesIO()
    sketch.figure.savefig(buffer, format=kind, metadata=METADATA[kind], dpi=150)
    return buffer.getvalue()


def sketches(
    frame: pd.DataFrame, elements: Elements, units: Mapping[tuple[str, str], str], models: Sequence[str]
) -> Iterator[Sketch]:
    """Every figure, one kind after the other."""
    moved = frame[
        frame["metric"].isin(list(shown_in("curve"))) & frame["estimate"].notna() & frame["element"].notna()
    ]
    located: dict[tuple[str, str], pd.DataFrame] = {}
    for (symmetry, dataset), table in elements.items():
        mine = moved[(moved["symmetry"] == symmetry) & (moved["dataset"] == dataset)]
        if len(mine):
            level = chance.level(frame[(frame["symmetry"] == symmetry) & (frame["dataset"] == dataset)])
            merged = mine.merge(table.drop(columns=["kind"]), on="element")
            located[symmetry, dataset] = merged if math.isnan(level) else merged.assign(chance=level)
    for place, rows in located.items():
        yield from _angles(place, rows[rows["metric"] == curves.AT_EACH], models)
    for place, rows in located.items():
        yield from _shifts(place, rows[rows["metric"] == curves.AT_EACH], models)
    for place, rows in located.items():
        yield from _sizes(place, rows, models, units.get(place, ""))
    yield from _accuracies(frame, models)
    for (where, under), group in frame[frame["symmetry"].notna()].groupby(["dataset", "symmetry"], sort=False):
        split = shares.of(group)
        if len(split):
            title = f"Whose fault: {under} on {where}"
            alt = "Bars of the model's share of E, resampling's share and the floor, for each model. " + " ".join(
                f"{row.model}: {row.model_share:.3g}, {row.resampling_share:.3g} and {row.floor_share:.3g}."
                for row in split.head(12).itertuples()
            )
            figure = shares.figure_of(split, models)
            yield Sketch("attribution", _name("attribution", under, where), title, alt, figure, split)


def _angles(place: tuple[str, str], data: pd.DataFrame, models: Sequence[str]) -> Iterator[Sketch]:
    if data.empty or not polar.suits(data):
        return
    title = f"Accuracy over angle: {place[0]} on {place[1]}"
    alt = f"Polar plot of accuracy against the angle of rotation, one curve for each model. {span(data)}"
    yield Sketch("polar", _name("polar", *place), title, alt, polar.figure_of(data, models), data)


def _shifts(place: tuple[str, str], data: pd.DataFrame, models: Sequence[str]) -> Iterator[Sketch]:
    if data.empty or not shifts.suits(data):
        return
    title = f"Accuracy over shifts: {place[0]} on {place[1]}"
    alt = f"Heat maps of accuracy over vertical and horizontal shifts, one for each model. {span(data)}"
    yield Sketch("shifts", _name("shifts", *place), title, alt, shifts.figure_of(data, models), data)


def _sizes(place: tuple[str, str], rows: pd.DataFrame, models: Sequence[str], unit: str) -> Iterator[Sketch]:
    data = curves.by_size(rows)
    data = data.assign(chance=rows["chance"].iloc[0]) if "chance" in rows else data
    if data["size"].nunique() < curves.FEWEST_SIZES:
        return
    title = f"Over the size of the element: {place[0]} on {place[1]}"
    accuracy = data[data["metric"] == curves.AT_EACH]
    told = span(accuracy) if len(accuracy) else ""
    alt = f"Accuracy and equivariance error over how far the element moves, one curve for each model. {told}"
    yield Sketch("sizes", _name("sizes", *place), title, alt, curves.figure_of(data, models, unit), data)


def _accuracies(frame: pd.DataFrame, models: Sequence[str]) -> Iterator[Sketch]:
    ranked = ranks.of(whole(frame))
    for found in ranked:
        place, several = (found.symmetry, found.dataset), sum(_same(found, other) for other in ranked) > 1
        name = (*place, found.output) if several else place
        title = f"As it is, over the orbit, in the worst case: {found.symmetry} on {found.dataset}"
        alt = "Accuracy in three columns, as it is, over the orbit and in the worst case, a line for each model. "
        alt += _columns(found.rows)
        yield Sketch("ranks", _name("ranks", *name), title, alt, ranks.figure_of(found.rows, models), found.rows)
    for found in ranked:
        place, several = (found.symmetry, found.dataset), sum(_same(found, other) for other in ranked) > 1
        name = (*place, found.output) if several else place
        data = tradeoffs.with_costs(found.rows, frame, found.dataset)
        best = ", ".join(data[data[f"front_{tradeoffs.SIZE}"]]["model"])
        alt = "Accuracy against worst-case accuracy, and accuracy against parameters, FLOPs and throughput."
        alt += f" On the Pareto front of orbit accuracy and parameters: {best}." if best else ""
        title = f"Accuracy, robustness and cost: {found.symmetry} on {found.dataset}"
        figure = tradeoffs.figure_of(data, models)
        yield Sketch("tradeoffs", _name("tradeoffs", *name), title, alt, figure, data)


def _columns(rows: pd.DataFrame, most: int = 12) -> str:
    """Each model's three accuracies, in words."""
    told = [
        f"{row['model']}: {', '.join(f'{100 * row[metric]:.0f}' for metric in ranks.STAGES)} %"
        for row in rows.head(most).to_dict("records")
    ]
    rest = [f"and {len(rows) - most} more models"] if len(rows) > most else []
    level = float(rows["chance"].iloc[0])
    return "; ".join([*told, *rest]) + "." + ("" if math.isnan(level) else f" Chance is {100 * level:.0f} %.")


def _same(one: ranks.Ranked, other: ranks.Ranked) -> bool:
    return (one.symmetry, one.dataset) == (other.symmetry, other.dataset)


def _name(*parts: object) -> str:
    """The stem of a figure's files, whatever names are made of."""
    return ".".join(re.sub(r"[^\w-]", "_", str(part)) for part in parts)
