"""How good each arm is, and by how much it beats another: over seeds and samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from symbench.algebra.metrics import MetricRow, Metrics
from symbench.algebra.statistics import LEVEL, Interval
from symbench.algebra.statistics.replicas import FEWEST_REPLICAS, Spread, two_level
from symbench.base.records import Manifest
from symbench.measure.suite.studies import Means
from symbench.read.estimates import BOOTSTRAP_SEED, Cells
from symbench.read.studies.answer import Answer, name_in_words, written, written_difference
from symbench.read.studies.arms import Point, Table, in_words, sweep_of, table_of


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
    tables = {
        (point.arm, str(point.at)): table_of(cells, point, asked.metric, asked.element, metrics)
        for point in sweep.points
    }
    against = asked.against or sweep.arms[0]
    # Several differences are looked at together: limits are such that all hold at once in 95 of 100 cases.
    others = sum(point.arm != against for point in sweep.points)
    level = 1 - (1 - LEVEL) / max(1, others)
    row = metrics[asked.metric]
    found = [_compared(point, tables, against, level, row) for point in sweep.points]
    expected = {(arm, i): value for arm, values in asked.expected.items() for i, value in enumerate(values)}
    frame = pd.DataFrame(
        [_line(each, metrics, expected.get(_place(sweep.of(each.point.arm), each.point))) for each in found]
    )
    what = f"{name_in_words(asked.metric)}{f' at {asked.element}' if asked.element else ''}"
    title = asked.title or f"{what} of {in_words(sweep.arms)}"
    place = f"{what} on {sweep.dataset} under {sweep.symmetry}"
    text = " ".join(_sentences(found, frame, row, against, place, asked.over, sweep.replicas))
    return Answer(title, text, frame, "means", {"row": row, "over": asked.over, "label": what})


def _place(points: Sequence[Point], point: Point) -> tuple[str, int]:
    return point.arm, [str(each.at) for each in points].index(str(point.at))


def _compared(
    point: Point, tables: dict[tuple[str, str], Table], against: str, level: float, row: MetricRow
) -> Compared:
    mine = tables[point.arm, str(point.at)]
    own = two_level([mine.values], lambda means: means[:, 0], seed=BOOTSTRAP_SEED)
    own = replace(own, interval=possible(own.interval, row))
    other = tables.get((against, str(point.at)))
    if other is None or point.arm == against:
        return Compared(point, mine, own, None)
    spread = two_level(
        [mine.values, other.values], lambda means: means[:, 0] - means[:, 1], seed=BOOTSTRAP_SEED, level=level
    )
    return Compared(point, mine, own, spread.interval)


def possible(interval: Interval, row: MetricRow) -> Interval:
    """Limits that the metric can have: those of few trainings that differ much may lie beyond."""
    if interval.low is None or interval.high is None:
        return interval
    least, most = row.limits
    low = interval.low if least is None else max(interval.low, least)
    return replace(interval, low=low, high=interval.high if most is None else min(interval.high, most))


def _line(each: Compared, metrics: Metrics, expected: float | None) -> dict[str, object]:
    """A row of the table."""
    point, interval, difference = each.point, each.own.interval, each.difference
    means = each.table.means
    return {
        "arm": point.arm,
        "at": point.at,
        "replicas": len(means),
        "failed": len(point.failed),
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
    for at in dict.fromkeys(str(each.point.at) for each in found):
        mine = [each for each in found if str(each.point.at) == at]
        head = "" if over is None else f"At {over} {at}: "
        yield head + "; ".join(f"{e.point.arm} {written(e.own.interval, row)}" for e in mine) + "."
        rest = [each for each in mine if each.difference is not None]
        if rest:
            yield f"Against {against}" + ", " + "; ".join(_verdict(each, row) for each in rest) + "."
    if fewest < FEWEST_REPLICAS:
        yield "With one training there is no interval over seeds."
    if any(each.difference is not None for each in found):
        yield "Intervals are of 95 %, over seeds and samples; those of differences hold all together."
    failed = int(frame["failed"].sum())
    if failed:
        yield f"{failed} training{'s' if failed > 1 else ''} failed and {'are' if failed > 1 else 'is'} left out."
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
