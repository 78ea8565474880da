"""Whose fault an error is, as tables: the reference split, layers and Lie derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from symbench.report.tables import Board, Cell, cell_of, percent, scientific

Show = Callable[[float], str]
SPLIT: tuple[tuple[str, str, Show], ...] = (
    ("split_error", "E", scientific),
    ("model_error", "the model's share", scientific),
    ("remainder_error", "resampling's", scientific),
    ("cross_term", "cross term, E²", scientific),
    ("reference_error", "the reference's own error", scientific),
    ("round_trip_consistency", "survive a round trip %", percent),
)
LIE: tuple[tuple[str, str, Show], ...] = (
    ("lie_slope", "slope of E", scientific),
    ("lie_derivative", "Lie derivative", scientific),
    ("lie_derivative_central", "by differences", scientific),
)
SPLIT_NOTE = (
    "E² is the model's share² plus resampling's² plus the cross term, so never subtract one from another. The "
    "model's share is measured with Fourier interpolation on a canvas with room around, on some samples and "
    "elements; rank models by it where elements are resampled"
)
LIE_NOTE = "E per radian or pixel at the identity, and the mean squared Lie derivative for each number of the output"
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
    mine = group[group["metric"].isin([metric for metric, *_ in SPLIT])]
    measured = mine[mine["estimate"].notna()]
    rows = [(name, [cell_of(known.get(m), show) for m, _, show in SPLIT]) for name, known in _by_model(measured)]
    share = mine[(mine["metric"] == "model_error") & mine["estimate"].isna()]
    absent = share[share["reason"].str.startswith("not attributable", na=False)]
    reasons = [(str(row.model), str(row.reason)) for row in absent.itertuples()]
    columns = ["model", *(heading for _, heading, _ in SPLIT)]
    return Board(
        f"Whose fault: {place}", SPLIT_NOTE, "", columns, rows, reasons, metrics=[metric for metric, *_ in SPLIT]
    )


def _by_model(rows: pd.DataFrame) -> Iterator[tuple[str, dict[str, object]]]:
    """Each model and output, with its rows by metric."""
    several = rows["output"].nunique() > 1
    for (model, output), mine in rows.groupby(["model", "output"], sort=False):
        yield f"{model}, {output}" if several else str(model), {str(row.metric): row for row in mine.itertuples()}


def _lie(place: str, group: pd.DataFrame) -> Board:
    mine = group[group["metric"].isin([metric for metric, *_ in LIE]) & group["element"].notna()]
    several = mine["output"].nunique() > 1
    rows = []
    for (model, output, generator), part in mine.groupby(["model", "output", "element"], sort=False):
        known = {str(row.metric): row for row in part.itertuples()}
        name = f"{model}, {output}, {generator}" if several else f"{model}, {generator}"
        rows.append((name, [_with_reason(known.get(m), show) for m, _, show in LIE]))
    return Board(
        f"Infinitely small: {place}",
        LIE_NOTE,
        "",
        ["model, generator", *(h for _, h, _ in LIE)],
        rows,
        [],
        [],
        [m for m, *_ in LIE],
    )


def _with_reason(row: object, show: Show) -> Cell:
    found = cell_of(row, show)
    reason = getattr(row, "reason", None)
    return Cell(found.value, str(reason)) if isinstance(reason, str) and found.value == "–" else found


def _layers(place: str, group: pd.DataFrame) -> Board:
    mine = group[(group["metric"] == "layer_error") & group["estimate"].notna()]
    rows = [(f"{row.model}, {row.output}", [cell_of(row, scientific)]) for row in mine.itertuples()]
    return Board(f"Layer by layer: {place}", LAYER_NOTE, "", ["model, layer", "E"], rows, [], [], ["layer_error"])
