"""How good each arm is, and by how much it beats another: over seeds and samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from symbench.algebra.metrics import MetricRow, Metrics, role_of
from symbench.algebra.statistics import LEVEL, Interval
from symbench.algebra.statistics.replicas import FEWEST_REPLICAS, Spread, two_level
from symbench.base.errors import CellError, Problem
from symbench.base.records import Manifest
from symbench.measure.suite.studies import Means, in_words
from symbench.read.estimates import BOOTSTRAP_SEED, Cells
from symbench.read.studies.answer import Answer, name_in_words, within, written, written_difference
from symbench.read.studies.arms import Point, Sweep, Table, listed, sweep_of, table_of
from symbench.read.studies.fairness import at_equal_cost

ROUNDING = 1e-9
"""How far an interval without width may lie from the ceiling that it is at."""


@dataclass(frozen=True)
class Compared:
    """One arm at one point.

    Attributes:
        point: which.
        table: its values.
        own: its mean over seeds and samples.
        difference: from the arm that all are compared with; None for that one, and where it is not there.
    """

    point: Point
    table: Table
    own: Spread
    difference: Interval | None


def answer(cells: Cells, manifest: Manifest, asked: Means, metrics: Metrics) -> Answer:
    """The arms side by side, and each against one of them.

    Raises:
        CellError: nothing of them was measured, or the metric has no value.
    """
    sweep = sweep_of(cells, manifest, asked, asked.over)
    tables, reasons = _tables(cells, sweep, asked, metrics)
    points = [point for point in sweep.points if point.place in tables]
    against = asked.against or sweep.arms[0]
    # Several differences are looked at together: limits are such that all hold at once in 95 of 100 cases.
    others = sum(point.arm != against for point in points)
    level = 1 - (1 - LEVEL) / max(1, others)
    found = [_compared(point, tables, against, level) for point in points]
    row = metrics[asked.metric]
    expected = {(arm, i): value for arm, values in asked.expected.items() for i, value in enumerate(values)}
    frame = pd.DataFrame(
        [_line(each, metrics, row, expected.get((each.point.arm, each.point.number))) for each in found]
    )
    what = f"{name_in_words(asked.metric)}{f' at {asked.element}' if asked.element else ''}"
    title = asked.title or f"{what} of {listed(sweep.arms)}"
    place = f"{what} on {sweep.dataset} under {sweep.symmetry}"
    said = list(_sentences(found, frame, row, against, place, asked.over, sweep.replicas))
    said += _wrong_groups(found, tables, asked.wrong, row)
    said += [at_equal_cost(frame, asked.at, asked.over)] if asked.at is not None else []
    text = " ".join([*said, *reasons, *sweep.missing])
    about: dict[str, Any] = {"row": row, "over": asked.over, "label": what}
    if asked.ceiling:
        ceiling = _ceiling_of(cells, sweep, metrics)
        text = f"{text} {_against_ceiling(found, ceiling, asked.over)}"
        frame, about = frame.assign(ceiling=ceiling), {**about, "ceiling": ceiling}
    return Answer(title, text, frame, "means", about)


def _wrong_groups(
    found: Sequence[Compared], tables: dict[tuple[str, str], Table], wrong: Mapping[str, str], row: MetricRow
) -> Iterator[str]:
    """Each control by a wrong group against the arm whose group is right, point by point."""
    for each in found:
        right = wrong.get(each.point.arm)
        if right is None:
            continue
        held = _compared(each.point, tables, right, LEVEL)
        place = "" if each.point.at is None else f" at {each.point.place[1]}"
        if held is None or held.difference is None:
            yield f"{each.point.arm}, of a wrong group, is not held against {right}{place}, which was not measured."
        else:
            yield f"Against {right}{place}, {_verdict(held, row)}: its group is a wrong one of the same order."


def _ceiling_of(cells: Cells, sweep: Sweep, metrics: Metrics) -> float:
    """What no invariant model passes: a fact of the samples and of the symmetry, the same for all arms."""
    first = next(point for point in sweep.points if point.records)
    return float(table_of(cells, first, role_of("ceiling"), None, metrics).values.mean())


def _against_ceiling(found: Sequence[Compared], ceiling: float, over: str | None) -> str:
    """Which arms pass it, by their intervals."""
    sides: dict[str, list[str]] = {"above": [], "at": [], "below": []}
    for each in found:
        low, high = each.own.interval.low, each.own.interval.high
        if low is not None and high is not None:
            side = "above" if low > ceiling + ROUNDING else "below" if high < ceiling - ROUNDING else "at"
            sides[side].append(each.point.arm if over is None else f"{each.point.arm} at {over} {each.point.at}")
    words = {
        "above": ("passes it", "pass it"),
        "at": ("has it within its interval", "have it within their intervals"),
        "below": ("stays below it", "stay below it"),
    }
    said = [f"{listed(arms)} {words[side][len(arms) > 1]}" for side, arms in sides.items() if arms]
    return f"An invariant model cannot pass {100 * ceiling:.1f} %{': ' if said else ''}{'; '.join(said)}."


def _tables(
    cells: Cells, sweep: Sweep, asked: Means, metrics: Metrics
) -> tuple[dict[tuple[str, str], Table], list[str]]:
    """The metric at every point that has it, and why others have not: one arm does not take the answer from all.

    Raises:
        CellError: no point has it.
    """
    tables, reasons = {}, dict[str, None]()
    for point in sweep.points:
        if not point.records:
            continue
        try:
            tables[point.place] = table_of(cells, point, asked.metric, asked.element, metrics)
        except CellError as error:
            reasons[f"{point.arm}: {str(error).rstrip('.')}."] = None
    if not tables:
        raise CellError(Problem(asked.metric, " ".join(reasons).rstrip(".")))
    return tables, list(reasons)


def _compared(point: Point, tables: dict[tuple[str, str], Table], against: str, level: float) -> Compared:
    mine = tables[point.place]
    own = two_level([mine.values], lambda means: means[:, 0], seed=BOOTSTRAP_SEED)
    other = tables.get((against, point.place[1]))
    if other is None or point.arm == against or other.values.shape[1] != mine.values.shape[1]:
        return Compared(point, mine, own, None)
    spread = two_level(
        [mine.values, other.values], lambda means: means[:, 0] - means[:, 1], seed=BOOTSTRAP_SEED, level=level
    )
    return Compared(point, mine, own, spread.interval)


def _line(each: Compared, metrics: Metrics, row: MetricRow, expected: float | None) -> dict[str, object]:
    """A row of the table."""
    point, interval, difference = each.point, within(each.own.interval, row), each.difference
    means = each.table.means
    return {
        "arm": point.arm,
        "at": in_words(point.at) if isinstance(point.at, dict) else point.at,
        "replicas": len(means),
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "between_seeds": float(means.std(ddof=1)) if len(means) >= FEWEST_REPLICAS else None,
        "difference": None if difference is None else difference.estimate,
        "difference_low": None if difference is None else difference.low,
        "difference_high": None if difference is None else difference.high,
        "expected": expected,
        "unit": each.table.unit,
        **point.costs(metrics),
    }


def _sentences(
    found: Sequence[Compared],
    frame: pd.DataFrame,
    row: MetricRow,
    against: str,
    place: str,
    over: str | None,
    replicas: tuple[int, int],
) -> Iterator[str]:
    fewest, most = replicas
    trainings = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    yield f"{place[0].upper()}{place[1:]}, {trainings} training{'s' if most > 1 else ''} each."
    for at in dict.fromkeys(each.point.place[1] for each in found):
        mine = [each for each in found if each.point.place[1] == at]
        head = "" if over is None else f"At {over} {at}: "
        yield head + "; ".join(f"{e.point.arm} {written(e.own.interval, row)}" for e in mine) + "."
        rest = [each for each in mine if each.difference is not None]
        if rest:
            yield f"Against {against}" + ", " + "; ".join(_verdict(each, row) for each in rest) + "."
    if fewest < FEWEST_REPLICAS:
        yield "With one training there is no interval over seeds."
    if any(each.difference is not None for each in found):
        yield "Intervals are of 95 %, over seeds and samples; those of differences hold all together."
    yield from _against_theory(frame)


def _verdict(each: Compared, row: MetricRow) -> str:
    """Whether an arm is better, worse, or cannot be told apart."""
    interval = each.difference
    assert interval is not None
    said = written_difference(interval, row)
    if interval.low is None or interval.high is None or row.better == "neither":
        return f"{each.point.arm} differs by {said}"
    if interval.low <= 0 <= interval.high:
        return f"{each.point.arm} cannot be told apart ({said})"
    better = (interval.estimate > 0) == (row.better == "higher")
    return (
        f"{each.point.arm} is {'better' if better else 'worse'} by {written_difference(interval, row, signed=False)}"
    )


def _against_theory(frame: pd.DataFrame) -> Iterator[str]:
    known = frame[frame["expected"].notna() & frame["low"].notna()]
    if known.empty:
        return
    inside = (known["low"] <= known["expected"]) & (known["expected"] <= known["high"])
    yield f"Of {len(known)} values that theory knows, {int(inside.sum())} lie within their intervals."
    for _, line in known[~inside].iterrows():
        ends = f"[{line['low']:.3g}, {line['high']:.3g}]"
        yield f"{line['arm']} at {line['at']}: {line['expected']:.3g} was expected, and {ends} measured."
