"""Class by class: how right each model is as samples are, over the orbit, and at the worst element."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd

from symbench.algebra.metrics import Metrics, shown_in
from symbench.read.report.tables import Board, Cell, cell_of, headings

MOST = 12
"""Classes of a model that are shown, those that are worst over the orbit; estimates.csv has all."""
LINES = 120
"""Lines of one table: of many models fewer classes each are shown."""
NOTE = "The classes that a model is worst on stand first"
MAPS = frozenset({"segmentation"})
"""Tasks in whose classes people look first."""


def boards(frame: pd.DataFrame, metrics: Metrics | None = None, tasks: Collection[str] | None = None) -> list[Board]:
    """A table for every (dataset, symmetry, output) that has classes, in the order of the run.

    Args:
        frame: estimates as tables show them.
        metrics: that may have a column; by default the table's and the plug-ins'.
        tasks: of outputs; all by default.
    """
    known = shown_in("classes", metrics)
    mine = frame[frame["metric"].isin(list(known)) & frame["estimate"].notna() & frame["element"].notna()]
    mine = mine if tasks is None else mine[mine["task"].isin(list(tasks))]
    several = mine.groupby(["dataset", "symmetry"], sort=False)["output"].transform("nunique") > 1
    found = []
    for (dataset, symmetry, output), rows in mine.groupby(["dataset", "symmetry", "output"], sort=False):
        name = f"{symmetry} on {dataset}" + (f", {output}" if several[rows.index[0]] else "")
        there = set(rows["metric"])
        columns = {metric: row for metric, row in known.items() if metric in there and row.instead_of not in there}
        if rows["element"].nunique() > 1:
            most = max(1, min(MOST, LINES // rows["model"].nunique()))
            models = rows.groupby("model", sort=False)
            lines = [line for model, some in models for line in _lines(str(model), some, columns, most)]
            heads = ["model, class", *headings(columns)]
            found.append(Board(f"By class: {name}", _note(rows, most), "", heads, lines, [], metrics=columns))
    return found


def _note(rows: pd.DataFrame, most: int) -> str:
    many = rows["element"].nunique()
    return NOTE if many <= most else f"{NOTE}; {most} of {many} are shown, and estimates.csv has all"


def _lines(model: str, rows: pd.DataFrame, columns: Metrics, most: int) -> Iterator[tuple[str, list[Cell]]]:
    lookup = {(str(row.element), str(row.metric)): row for row in rows.itertuples()}
    least = rows[rows["metric"].isin(list(columns))].groupby("element", sort=False)["estimate"].min()
    for name in least.sort_values(kind="stable").index[:most]:
        yield f"{model}, {name}", [cell_of(lookup.get((str(name), metric)), row) for metric, row in columns.items()]
