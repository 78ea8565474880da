"""Estimates as tables for people: one board for each symmetry, and one of costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from symbench.algebra.metrics import METRICS, MetricRow, Metrics, role_of, shown_in
from symbench.base.errors import several
from symbench.read.numbers import WRITTEN, percent, scientific, seconds
from symbench.read.report import chance
from symbench.read.report.beside import of_models
from symbench.read.report.outputs import first_trainings, side_by_side
from symbench.read.report.places import Places
from symbench.read.report.verdicts import taken, unequal_sums, verdicts, worst_places


@dataclass(frozen=True)
class Cell:
    """What a table shows of one estimate: the value, and its interval or the reason why there is none.

    Attributes:
        value: as text.
        detail: interval, floor or reason, as text.
        estimate: the number; None without one.
        low: end of its interval.
        high: end of its interval.
    """

    value: str
    detail: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Board:
    """One symmetry on one dataset: a row for each model, the best first.

    Attributes:
        title: symmetry and dataset.
        note: how many elements, and of which kind.
        summary: what happened, in words made from the numbers.
        columns: headings, the model's first.
        rows: the model's name and its cells.
        failed: models without numbers, with the reason.
        verdicts: what the exactness control says, in words; of costs, what is to be said of them.
        metrics: of the columns after the first.
        place: symmetry, dataset and output; the output is empty where the model has one.
        chance: the accuracy of always predicting the most frequent label; NaN without labels.
        collapsed: models that predict one class only.
    """

    title: str
    note: str
    summary: str
    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    failed: list[tuple[str, str]]
    verdicts: list[str] = field(default_factory=list)
    metrics: Metrics = field(default_factory=dict)
    place: tuple[str, str, str] = ("", "", "")
    chance: float = math.nan
    collapsed: tuple[str, ...] = ()


CLEAN, WORST, RETRIEVAL, DEVIATION, EXCLUDED, LAYER, SHARE, OPERATIONS, TIME, SPEED = (
    role_of(role)
    for role in (
        "as it is", "worst element", "retrieval", "deviation", "excluded pairs", "layer",
        "the model's share", "operations", "time", "speed",
    )
)  # fmt: skip
LEAST = (
    (role_of("worst overlap"), role_of("overlap at each element"), "has a Dice of"),
    (role_of("worst precision"), role_of("precision at each element"), "has an AP of"),
    (WORST, CLEAN, "is right on"),
)
"""What sentences tell of the worst element, the first that there is: that, the same unmoved, and the verb."""
SHARES = {"multi-label": "% of labels", "keypoints": "% of points"}
"""By task, what the share that is right is of."""
PLACES = {"segmentation": "% of places"}
"""Likewise, where overlap leads and the share that is right stands behind it."""
STAYS = 0.9
"""What part of a number has to be left at the worst element for sentences to say that it is so even there."""
OWN = "place"
"""The unit of metrics whose estimates say their own, which then stands beside the number."""
NOTES = {
    "binary": "one number for two classes, predicted above a probability of one half",
    "multi-label": "accuracy and consistency are over the labels of each sample, and F1 is over all labels together",
    "segmentation": "Dice is over the labelled places of all samples together, the mean over classes; accuracy and "
    "consistency are over the places of each",
    "detection": "AP is COCO's, the mean over overlaps of 0.50 to 0.95 and over classes; agreement is with the boxes "
    "found unmoved, moved along",
    "keypoints": "accuracy is over the visible points of each sample, right within a tenth of the longer side of "
    "their own box (PCK at 0.1)",
    "embedding": "recall@1 is the share of moved samples whose nearest unmoved embedding is their own",
}
"""By task, what its numbers are of."""


def boards(frame: pd.DataFrame, metrics: Metrics | None = None) -> list[Board]:
    """A board for every (dataset, symmetry, output), in the order of the run.

    Args:
        frame: estimates.
        metrics: that may have a column; by default the table's and the plug-ins'.
    """
    known = dict(METRICS) if metrics is None else metrics
    frame = side_by_side(frame)
    with_symmetry = frame[frame["symmetry"].notna() & frame["element"].isna()]
    found, places = [], Places.of(frame)
    for (dataset, symmetry), group in with_symmetry.groupby(["dataset", "symmetry"], sort=False):
        measured = group[group["elements"].notna() & (group["metric"] != LAYER)]
        failed = group[group["status"].isin(["failed", "missing"])].drop_duplicates("model")
        reasons = [(str(row.model), str(row.reason)) for row in failed.itertuples()]
        outputs = list(measured["output"].unique()) or [None]
        for output in outputs:
            mine = measured[measured["output"] == output]
            place = (str(symmetry), str(dataset), str(output) if len(outputs) > 1 else "")
            board = _board(place, places.name(place[0], place[1], place[2] or None), mine, reasons, known)
            found.append(_beside(board, frame, known))
    return found


def _beside(board: Board, frame: pd.DataFrame, known: Metrics) -> Board:
    """The board with columns of what is known of its models whatever the symmetry."""
    more = of_models(frame, board.place[1], known)
    rows = [
        (model, [*cells, *(cell_of(values.get(model), known[metric]) for metric, _, values in more)])
        for model, cells in board.rows
    ]
    columns = [*board.columns, *(heading for _, heading, _ in more)]
    metrics = {**board.metrics, **{metric: known[metric] for metric, *_ in more}}
    return replace(board, rows=rows, columns=columns, metrics=metrics)


def _board(
    place: tuple[str, str, str], name: str, group: pd.DataFrame, failed: list[tuple[str, str]], known: Metrics
) -> Board:
    over_all = whole(group)
    values = over_all.pivot_table(index="model", columns="metric", values="estimate", sort=False)
    tasks = set(group["task"].dropna())
    columns = {
        metric: row
        for metric, row in shown_in("table", known).items()
        if _has(values, over_all, metric, row) and not (tasks and tasks <= set(row.not_for))
    }
    key = next((metric for metric in shown_in("ranking", known) if metric in values), None)
    if key is not None:
        values = values.sort_values(key, ascending=known[key].better == "lower", kind="stable")
    lookup = {(str(row.model), str(row.metric)): row for row in over_all.itertuples()}
    rows = [
        (str(model), [cell_of(lookup.get((str(model), metric)), row) for metric, row in columns.items()])
        for model in values.index
    ]
    level, collapsed = chance.level(over_all), chance.one_class(over_all)
    return Board(
        f"{place[0]} on {place[1]}" + (f", {place[2]}" if place[2] else ""),
        _note(over_all, group),
        _summary(name, values, lookup, level, collapsed, tasks),
        ["model", *headings(columns)],
        rows,
        failed,
        [*verdicts(group), *unequal_sums(over_all), *worst_places(over_all), *taken(group)],
        columns,
        place,
        level,
        tuple(collapsed),
    )


def _has(values: pd.DataFrame, over_all: pd.DataFrame, metric: str, row: MetricRow) -> bool:
    """Whether a column is shown: some model has a value, or it stands beside one that is shown."""
    if row.instead_of in values and values[row.instead_of].notna().any():
        return False
    return metric in values or (row.beside in {metric, *values} and bool((over_all["metric"] == metric).any()))


def headings(columns: Metrics) -> list[str]:
    """What stands above the columns of metrics."""
    return [row.heading or name for name, row in columns.items()]


def whole(frame: pd.DataFrame) -> pd.DataFrame:
    """The estimates over all elements of a symmetry: those of kind ``all``, or of the only kind there is."""
    mine = frame[frame["symmetry"].notna() & frame["element"].isna() & frame["elements"].notna()]
    if mine.empty:
        return mine
    of_all = mine["elements"] == "all"
    mixed = of_all.groupby([mine[name] for name in ("dataset", "symmetry", "output")]).transform("any")
    return mine[of_all | ~mixed]


def cell_of(row: object, metric: MetricRow) -> Cell:
    """An estimate's row, as a table shows it: at the floor where it is no more than that."""
    show = WRITTEN[metric.written_as]
    if row is None:
        return Cell("–")
    estimate, low, high = (float(getattr(row, name)) for name in ("estimate", "low", "high"))
    if math.isnan(estimate):
        return Cell("–", str(getattr(row, "reason", "")))
    floor = float(getattr(row, "floor", math.nan))
    ends = (None, None) if math.isnan(low) else (low, high)
    text = f"{show(estimate)} {getattr(row, 'unit', '')}" if metric.unit == OWN else show(estimate)
    if estimate <= floor and getattr(row, "better", "") == "lower":
        words = "not resolved below" if metric.floor == "reference" else "at the floor,"
        return Cell(text, f"{words} {show(floor)}", estimate, *ends)
    return Cell(text, "" if math.isnan(low) else f"[{show(low)}, {show(high)}]", estimate, *ends)


def _note(over_all: pd.DataFrame, group: pd.DataFrame) -> str:
    if over_all.empty:
        return "nothing measured"
    k = int(over_all["k"].iloc[0])
    kinds = [kind for kind in ("permutation", "exact", "lossy", "resampled") if (group["elements"] == kind).any()]
    n = int(over_all["n"].dropna().max()) if over_all["n"].notna().any() else 0
    moved = f", {' and '.join(kinds)}" if kinds else ""  # by strata, rows are of these and not of kinds
    text = f"{several(k, 'element')} besides the identity{moved}; {several(n, 'sample')}"
    excluded = over_all[(over_all["metric"] == EXCLUDED) & (over_all["estimate"] > 0)]["estimate"]
    if len(excluded):
        text += f"; {int(excluded.iloc[0])} pairs whose label the element changes leave accuracy"
    more = chance.note(chance.one_class(over_all), chance.level(over_all))
    text += f"; {more}" if more else ""
    text += "".join(f"; {NOTES[task]}" for task in NOTES if (group["task"] == task).any())
    if "resampled" in kinds:
        text += (
            "; E includes what resampling does, and blur lowers it: rank models by their share of it, in the report"
        )
    return text


def _summary(
    place: str,
    values: Any,
    lookup: Mapping[tuple[str, str], Any],
    level: float,
    collapsed: Sequence[str],
    tasks: set[str],
) -> str:
    """The best model at its worst element, and the one that falls farthest; what chance could do is called that."""
    known = [each for each in LEAST if each[0] in values and values[each[0]].notna().any()]
    if not known:
        if DEVIATION not in values or values[DEVIATION].isna().all():
            return ""
        if tasks == {"embedding"} and RETRIEVAL in values and values[RETRIEVAL].notna().any():
            best = values[RETRIEVAL].idxmax()
            found = f"{percent(values.loc[best, RETRIEVAL])} % of moved samples"
            return f"Under {place}, {best} finds {found} again among the unmoved ones."
        best = values[DEVIATION].idxmin()
        only = ", and it predicts one class only" if best in collapsed else ""
        least = scientific(values.loc[best, DEVIATION])
        return f"Under {place}, {best} deviates least: E = {least}{only}."
    least, clean, has = known[0]
    worst, level = values[least], level if least == WORST else math.nan
    drops = values[clean] - worst
    best, fallen = worst.idxmax(), drops.idxmax()
    of = next((words for task, words in SHARES.items() if tasks == {task}), "%")

    def said(model: str) -> tuple[str, str]:
        row = lookup[model, least]
        return f"{percent(worst[model])} {of}", chance.words(row.low, row.estimate, row.high, level)

    shown, doubt = said(best)
    unmoved, row = values.loc[best, clean], lookup[best, least]
    stays = not doubt and (worst[best] >= STAYS * unmoved or row.low <= unmoved <= row.high)
    even = "even at its worst element" if stays else "at its worst element"
    text = f"Under {place}, {best} {has} {shown} {even}{doubt}"
    text += ", and predicts one class only" if best in collapsed else ""
    before = percent(values.loc[fallen, clean])
    if len(values) == 1 or fallen == best or not drops[fallen] > 0 or before == percent(worst[fallen]):
        return f"{text} ({percent(unmoved)} % unmoved)."
    shown, doubt = said(fallen)
    return f"{text}; {fallen} falls from {before} % to {shown}{doubt}."


def share_of(tasks: set[str]) -> str:
    """What the share that is right is of, as it stands behind numbers."""
    return next((words for task, words in {**SHARES, **PLACES}.items() if tasks == {task}), "%")


def costs(frame: pd.DataFrame, metrics: Metrics | None = None) -> Board:
    """What each model costs, on the first dataset that it met."""
    frame = first_trainings(frame)
    model_rows = frame[frame["symmetry"].isna()].drop_duplicates(["model", "metric"])
    lookup = {(row.model, row.metric): row for row in model_rows.itertuples()}
    columns = {name: row for name, row in shown_in("costs", metrics).items() if _is_known(model_rows, name, row)}
    rows = [
        (str(model), [cell_of(lookup.get((model, metric)), row) for metric, row in columns.items()])
        for model in model_rows["model"].unique()
    ]
    return Board(
        "cost",
        _timing(model_rows) if rows else "nothing measured",
        "",
        ["model", *headings(columns)],
        rows,
        [],
        _remarks(model_rows),
        columns,
    )


def _is_known(rows: pd.DataFrame, name: str, row: MetricRow) -> bool:
    """Whether a column of costs is shown: always, but for what throughput passes measure where there was none."""
    mine = rows[rows["metric"] == name]
    return row.of_passes is None or bool(mine["estimate"].notna().any() or (mine["status"] == "failed").any())


def _timing(rows: pd.DataFrame) -> str:
    """What stands above the costs."""
    if rows[rows["metric"] == SPEED]["estimate"].notna().any():
        return (
            "Speed and memory are those of throughput passes: medians of forward passes, their mean over passes, and "
            "its 95 % limits; where there are fewer than 3 passes, those within a pass"
        )
    return "Speed was not measured: a throughput pass does that ('throughput: true' in the suite)"


def _remarks(rows: pd.DataFrame) -> list[str]:
    """What is said of counts of operations and of throughput passes, model by model; times of the evaluation last."""
    known = rows["estimate"].notna() & rows["reason"].notna()
    counted, passes = (rows[(rows["metric"] == name) & known] for name in (OPERATIONS, SPEED))
    found = [f"{row.model}: FLOPs {row.reason}" for row in counted.itertuples()]
    found += [f"{row.model}: throughput of {row.reason}" for row in passes.itertuples()]
    times = rows[(rows["metric"] == TIME) & rows["estimate"].notna()]
    if len(times):
        each = ", ".join(
            f"{model} {seconds(time)}" for model, time in zip(times["model"], times["estimate"], strict=True)
        )
        found.append(f"Time per sample in the evaluation's own passes, a note and no measure of speed: {each}")
    return found
