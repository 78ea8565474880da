"""The page's tables: what is shown of every row, and what of it is downloaded as CSV and JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from symbench.algebra.metrics import METRICS, MetricRow
from symbench.base.escape import csv_safe
from symbench.read.estimates import NOT_YET
from symbench.read.numbers import percent
from symbench.read.report import chance
from symbench.read.report.ranks import CLEAN, STAGES, Ranked
from symbench.read.report.tables import Board, Cell, headings

LEAST_E = 1e-8


@dataclass(frozen=True)
class Entry:
    """One place of a table.

    Attributes:
        text: what it says.
        detail: what stands below, small.
        order: what it is sorted by; None sorts last.
        bar: value and interval between 0 and 1, to be drawn; None draws nothing.
        tone: ``good``, ``bad``, ``warn`` or empty; ``none`` where there is no number to have one.
    """

    text: str
    detail: str = ""
    order: float | str | None = None
    bar: tuple[float, float, float] | None = None
    tone: str = ""


@dataclass(frozen=True)
class Line:
    """A row: its entries, or one that spans them all; its model, and what the filters know of it."""

    name: str
    entries: list[Entry]
    model: int | None = None
    symmetry: str = ""
    dataset: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Group:
    """Rows under a heading of their own, with a sentence that sums them up and a note."""

    title: str
    lines: list[Line]
    note: str = ""
    lead: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table of the page.

    Attributes:
        id: its name on the page and of its downloads.
        title: what it is of, for those who do not see it.
        columns: headings, that of the names first.
        groups: of rows.
        data: the same rows with all their digits.
        numbers: whether the columns after the first are numbers.
        filters: whether rows can be filtered.
    """

    id: str
    title: str
    columns: list[str]
    groups: list[Group]
    data: list[dict[str, Any]]
    numbers: bool = True
    filters: bool = False

    @property
    def csv(self) -> str:
        """The data as CSV, as a link."""
        return _link("text/csv", csv_safe(pd.DataFrame(self.data)).to_csv(index=False))

    @property
    def json(self) -> str:
        """The data as JSON, as a link."""
        return _link("application/json", json.dumps(self.data, allow_nan=False, ensure_ascii=False))


def _link(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def entry(cell: Cell, metric: MetricRow) -> Entry:
    """A cell of a board, with its interval drawn where there is a scale for it."""
    bar = None
    if cell.estimate is not None:
        ends = [cell.estimate if end is None else end for end in (cell.low, cell.high)]
        points = [_position(value, metric) for value in (cell.estimate, *ends)]
        if not any(math.isnan(point) for point in points):
            bar = (points[0], points[1], points[2])
    return Entry(cell.value, cell.detail, cell.estimate, bar)


def _position(value: float, metric: MetricRow) -> float:
    """Where on a scale from 0 to 1; NaN for metrics without one. What is in units of E is on a logarithmic one."""
    if metric.limits[1] == 1 and metric.limits[0] in {None, 0.0}:
        return min(max(value, 0.0), 1.0)
    if metric.unit == "E":
        scaled = 1 - math.log10(max(value, LEAST_E)) / math.log10(LEAST_E)
        return min(max(scaled, 0.0), 1.0)
    return math.nan


def leaderboard(boards: Sequence[Board], models: Sequence[str]) -> Sheet:
    """Every board in one table, with the same columns."""
    measured = {metric: row for board in boards for metric, row in board.metrics.items()}
    order = {name: number for number, (name, _) in enumerate(METRICS)}
    chosen = dict(sorted(measured.items(), key=lambda column: order.get(column[0], len(order))))
    groups, data = [], []
    for board in boards:
        lines = []
        symmetry, dataset, output = board.place
        for name, cells in board.rows:
            known = dict(zip(board.metrics, cells, strict=True))
            entries = [entry(known.get(metric, Cell("–")), row) for metric, row in chosen.items()]
            lines.append(Line(name, entries, models.index(name), symmetry, dataset))
            place = {"model": name, "symmetry": symmetry, "dataset": dataset, "output": output}
            data.append(place | _numbers(known))
        lines += [
            Line(
                name,
                [Entry(why) if why == NOT_YET else Entry(f"failed: {why}", tone="bad")],
                models.index(name),
                symmetry,
                dataset,
            )
            for name, why in board.failed
        ]
        groups.append(Group(board.title, lines, ". ".join([board.note, *board.verdicts]), board.summary))
    return Sheet("leaderboard", "leaderboard", ["model", *headings(chosen)], groups, data, filters=True)


def _numbers(known: Mapping[str, Cell]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for metric, cell in known.items():
        found |= {metric: cell.estimate, f"{metric}_low": cell.low, f"{metric}_high": cell.high}
    return found


def ranking(ranked: Sequence[Ranked], models: Sequence[str]) -> Sheet:
    """The three accuracies with each model's rank and how it changes from the first."""
    groups, data = [], []
    for found in ranked:
        lines = []
        for row in found.rows.to_dict("records"):
            entries = [_rank(row, metric) for metric in STAGES]
            lines.append(Line(str(row["model"]), entries, models.index(row["model"]), found.symmetry, found.dataset))
            place = {"symmetry": found.symmetry, "dataset": found.dataset, "output": found.output}
            data.append(place | {str(k): None if pd.isna(v) else v for k, v in row.items()})
        groups.append(Group(f"{found.symmetry} on {found.dataset}", lines))
    return Sheet("ranks", "ranks", ["model", *STAGES.values()], groups, data)


def _rank(row: Mapping[Any, Any], metric: str) -> Entry:
    value, rank, first = float(row[metric]), int(row[f"{metric}_rank"]), int(row[f"{CLEAN}_rank"])
    moved = first - rank
    change = f", {'up' if moved > 0 else 'down'} {abs(moved)}" if moved else ""
    ends = [float(row[f"{metric}_{side}"]) for side in ("low", "high")]
    guessed = chance.word(ends[0], value, ends[1], float(row["chance"]))
    change += f", {guessed}" if guessed else ""
    tone = "" if not moved or (moved > 0 and guessed) else "good" if moved > 0 else "bad"
    bar = None if any(math.isnan(end) for end in ends) else (value, ends[0], ends[1])
    return Entry(f"{percent(value)} %", f"rank {rank}{change}", value, bar, tone)


def of_boards(name: str, title: str, boards: Sequence[Board], models: Sequence[str]) -> list[Sheet]:
    """Boards with columns of their own, those with the same columns in one table."""
    kinds: dict[tuple[str, ...], list[Board]] = {}
    for board in boards:
        kinds.setdefault(tuple(board.columns), []).append(board)
    found = []
    for number, (columns, members) in enumerate(kinds.items()):
        groups, data = [], []
        for board in members:
            lines = []
            for label, cells in board.rows:
                entries = [entry(cell, row) for cell, row in zip(cells, board.metrics.values(), strict=True)]
                lines.append(Line(label, entries, _model_of(label, models)))
                data.append(
                    {"table": board.title, columns[0]: label} | _numbers(dict(zip(board.metrics, cells, strict=True)))
                )
            lines += [Line(label, [Entry(why)], _model_of(label, models)) for label, why in board.failed]
            groups.append(Group(board.title, lines, board.note))
        found.append(Sheet(f"{name}-{number}" if number else name, title, list(columns), groups, data))
    return found


def _model_of(label: str, models: Sequence[str]) -> int | None:
    """The model that a row is of: its label, or what stands before its first comma."""
    stem = label if label in models else label.partition(", ")[0]
    return models.index(stem) if stem in models else None


def plain(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    tones: str = "",
    orders: Sequence[Sequence[Any]] | None = None,
) -> Sheet:
    """A table of texts; those of the column ``tones`` are toned by what they say.

    ``orders`` is what rows are sorted by where that is not the text: a number, or None for what comes last.
    """
    lines = [
        Line(
            str(row[0]),
            [
                Entry(str(value), order=order, tone=TONES.get(str(value), "") if heading == tones else "")
                for heading, value, order in zip(columns[1:], row[1:], by[1:], strict=True)
            ],
        )
        for row, by in zip(rows, orders or rows, strict=True)
    ]
    data = [dict(zip(columns, row, strict=True)) for row in rows]
    return Sheet(name, title, list(columns), [Group("", lines)], data, numbers=False)


TONES = {
    "pass": "good", "done": "good", "better": "good", "fail": "bad", "failed": "bad", "worse": "bad", "error": "bad",
    "inconclusive": "warn", "not comparable": "warn", "missing": "warn", "planned": "warn",
}  # fmt: skip
