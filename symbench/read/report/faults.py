"""Whose fault an error is, as tables: the reference split, layers and Lie derivatives."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from symbench.algebra.controls import NOT_RUN
from symbench.algebra.metrics import METRICS, MetricRow, shown_in
from symbench.read.report.tables import LAYER, SHARE, Board, Cell, cell_of, headings

SPLIT_NOTE = (
    "E² is the model's share² plus resampling's² plus the cross term, so never subtract one from another. The "
    "model's share is measured with Fourier interpolation on a canvas with room around, on some samples and "
    "elements; rank models by it where elements are resampled"
)
LIE_NOTE = "E per {} at the identity, and the mean squared Lie derivative for each number of the output"
PER = "E per "
"""How units of slopes begin."""
LAYER_NOTE = "E of each layer that the suite names, taken for the field it is declared as"


def boards(frame: pd.DataFrame) -> list[Board]:
    """The tables of every (dataset, symmetry), in the order of the run; those with nothing in them are left out."""
    found = []
    for (dataset, symmetry), group in frame[frame["symmetry"].notna()].groupby(["dataset", "symmetry"], sort=False):
        place = f"{symmetry} on {dataset}"
        found += [
            board
            for board in (_split(place, group), _lie(place, group), _layers(place, group))
            if board.rows or board.failed
        ]
    return found


def _split(place: str, group: pd.DataFrame) -> Board:
    split = shown_in("split")
    mine = group[group["metric"].isin(list(split))]
    measured = mine[mine["estimate"].notna()]
    rows = [(name, [cell_of(known.get(m), row) for m, row in split.items()]) for name, known in _by_model(measured)]
    share = mine[(mine["metric"] == SHARE) & mine["estimate"].isna()]
    absent = share[share["reason"].str.startswith(("not attributable", NOT_RUN), na=False)]
    reasons = [(str(row.model), str(row.reason)) for row in absent.itertuples()]
    columns = ["model", *headings(split)]
    return Board(f"Whose fault: {place}", SPLIT_NOTE, "", columns, rows, reasons, metrics=split)


def _by_model(rows: pd.DataFrame) -> Iterator[tuple[str, dict[str, object]]]:
    """Each model and output, with its rows by metric."""
    several = rows["output"].nunique() > 1
    for (model, output), mine in rows.groupby(["model", "output"], sort=False):
        yield f"{model}, {output}" if several else str(model), {str(row.metric): row for row in mine.itertuples()}


def _lie(place: str, group: pd.DataFrame) -> Board:
    lie = shown_in("generators")
    mine = group[group["metric"].isin(list(lie)) & group["element"].notna()]
    several = mine["output"].nunique() > 1
    rows = []
    for (model, output, generator), part in mine.groupby(["model", "output", "element"], sort=False):
        known = {str(row.metric): row for row in part.itertuples()}
        name = f"{model}, {output}, {generator}" if several else f"{model}, {generator}"
        rows.append((name, [_with_reason(known.get(m), row) for m, row in lie.items()]))
    units = mine["unit"].dropna().astype(str)
    per = dict.fromkeys(unit.removeprefix(PER) for unit in units if unit.startswith(PER))
    return Board(
        f"Infinitely small: {place}",
        LIE_NOTE.format(" or ".join(per) or "unit"),
        "",
        ["model, generator", *headings(lie)],
        rows,
        [],
        [],
        lie,
    )


def _with_reason(row: object, metric: MetricRow) -> Cell:
    found = cell_of(row, metric)
    reason = getattr(row, "reason", None)
    return Cell(found.value, str(reason)) if isinstance(reason, str) and found.value == "–" else found


def _layers(place: str, group: pd.DataFrame) -> Board:
    layer = METRICS.rows[LAYER]
    mine = group[(group["metric"] == LAYER) & group["estimate"].notna()]
    rows = [(f"{row.model}, {row.output}", [cell_of(row, layer)]) for row in mine.itertuples()]
    return Board(f"Layer by layer: {place}", LAYER_NOTE, "", ["model, layer", "E"], rows, [], [], {LAYER: layer})
