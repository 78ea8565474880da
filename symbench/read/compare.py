"""Two runs on the same samples and elements, paired: what got better, what got worse, and what cannot be said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np

from symbench.algebra.metrics import METRICS, MetricRow, Metrics, shown_in
from symbench.algebra.statistics import Mean, holm, mcnemar
from symbench.base.records import CellStatus, CompareRecord, PairRecord
from symbench.read.estimates import Estimate
from symbench.read.pairing.difference import Paired, pair_cells, sign_of_worse
from symbench.read.pairing.runs import Measured, Timed, names_of

Mark = Literal["better", "worse", "same", "inconclusive", "not comparable", "only in A", "only in B"]
MARKS: tuple[Mark, ...] = ("worse", "better", "inconclusive", "same", "not comparable", "only in A", "only in B")
ALPHA = 0.05


def compare(before: Measured, after: Measured, metrics: Metrics | None = None) -> CompareRecord:
    """Every estimate of two runs side by side.

    ``better`` and ``worse`` are those whose two-sided p value, after Holm over all that can be compared, is below
    0.05; ``same`` are identical; everything else that pairs is ``inconclusive``.

    Args:
        before: A, the reference.
        after: B.
        metrics: to compare; by default those that their rows say are.
    """
    chosen = shown_in("comparison") if metrics is None else metrics
    rows: list[PairRecord] = []
    sides = Timed(before), Timed(after)
    firsts = {(c.model, c.dataset, c.symmetry): c for c in before.cells}
    for cell in after.cells:
        rows += _cell(sides, firsts.pop((cell.model, cell.dataset, cell.symmetry), None), cell, chosen)
    for cell in firsts.values():
        rows += _cell(sides, cell, None, chosen)
    return CompareRecord(before=before.name, after=after.name, rows=_marked(_once(rows)))


def _cell(
    sides: tuple[Timed, Timed], a: CellStatus | None, b: CellStatus | None, metrics: Metrics
) -> Iterator[PairRecord]:
    names = a or b
    assert names is not None
    records = [side.record(cell) for side, cell in zip(sides, (a, b), strict=True)]
    if records[0] is None or records[1] is None:
        faults = [side.fault(cell) for side, cell in zip(sides, (a, b), strict=True)]
        if records[0] is records[1] and any(faults):
            yield PairRecord(**names_of(names), metric="", mark="not comparable", reason=faults[1] or faults[0])
        for status, record, mark in ((a, records[0], "only in A"), (b, records[1], "only in B")):
            if record is not None:
                other, fault = (b, faults[1]) if status is a else (a, faults[0])
                why = (other.reason or fault or "not measured") if other is not None else "no such cell"
                yield PairRecord(**names_of(names), metric="", mark=mark, reason=why)
        return
    passes = sides[0].passes(a), sides[1].passes(b)
    for pair in pair_cells(sides[0].measured, sides[1].measured, records[0], records[1], metrics, passes):
        nothing = pair.before and pair.after and pair.before.value.estimate is pair.after.value.estimate is None
        if pair.either.primary and pair.either.value.element is None and not nothing:
            yield _row(names, pair)


def _row(cell: CellStatus, pair: Paired) -> PairRecord:
    found = pair.either
    a, b = (None if e is None else e.value.estimate for e in (pair.before, pair.after))
    row = PairRecord(
        **{**names_of(cell), "symmetry": None if found.row.scope == "model" else cell.symmetry},
        output=found.output, elements=found.elements, metric=found.metric, unit=found.unit, better=found.row.better,
        before=a, after=b, n=found.value.n, mark="inconclusive",
    )  # fmt: skip
    if a is None or b is None:
        mark: Mark = "not comparable" if a is b else "only in A" if b is None else "only in B"
        return row.model_copy(update={"mark": mark, "reason": pair.reason or found.value.reason})
    if pair.reason is not None:
        return row.model_copy(update={"mark": "not comparable", "reason": pair.reason})
    numbers: dict[str, object] = {"difference": b - a}
    if pair.identical:
        same = {"difference": 0.0, "low": 0.0, "high": 0.0, "mark": "same", "reason": "identical"}
        return row.model_copy(update=same)
    doubt = pair.difference()
    assert doubt is not None
    if found.value.sampled is None:
        mark = "same" if a == b else _mark_of_number(found, doubt.estimate)
        return row.model_copy(update={**numbers, "mark": mark, "reason": "a number without an interval"})
    if doubt.low is not None and doubt.high is not None:
        ends = sorted((sign_of_worse(found) * doubt.low, sign_of_worse(found) * doubt.high))
        numbers |= {"low": ends[0], "high": ends[1]}
        numbers["p_value"] = min(1.0, 2 * min(doubt.p_above(0.0), doubt.p_below(0.0)))
    numbers |= _mcnemar(pair)
    return row.model_copy(update=numbers)


def _mark_of_number(estimate: Estimate, worse: float) -> Mark:
    """Of a number without an interval that changed: a count says which way, a single time says nothing."""
    if estimate.row.better == "neither" or estimate.unit == "s":
        return "inconclusive"
    return "worse" if worse > 0 else "better"


def _mcnemar(pair: Paired) -> dict[str, object]:
    """Samples lost and gained, and McNemar's p, where every sample is right or wrong."""
    a, b = (e.value.sampled if e else None for e in (pair.before, pair.after))
    if not (isinstance(a, Mean) and isinstance(b, Mean) and len(a.taken) == len(b.taken)):
        return {}
    if not np.isin(np.concatenate([a.taken, b.taken]), (0.0, 1.0)).all():
        return {}
    found = mcnemar(a.taken, b.taken)
    return {"lost": found.lost, "gained": found.gained, "p_value": found.p_value}


def _once(rows: Iterable[PairRecord]) -> list[PairRecord]:
    """What no symmetry changes stands once for a model and a dataset."""
    found: dict[tuple[str | None, ...], PairRecord] = {}
    for row in rows:
        key = (row.model, row.dataset, row.symmetry, row.output, row.elements, row.metric)
        found.setdefault(key, row)
    return list(found.values())


def _marked(rows: list[PairRecord]) -> list[PairRecord]:
    tested = [i for i, row in enumerate(rows) if row.p_value is not None]
    if not tested:
        return rows
    adjusted = holm(np.array([rows[i].p_value for i in tested]))
    for i, p in zip(tested, adjusted, strict=True):
        row = rows[i]
        mark = row.mark
        if p < ALPHA and row.difference and row.better != "neither":
            good = (row.difference > 0) == (row.better == "higher")
            mark = "better" if good else "worse"
        rows[i] = row.model_copy(update={"p_adjusted": float(p), "mark": mark})
    return rows


def named(patterns: Sequence[str], metrics: Metrics | None = None) -> dict[str, MetricRow]:
    """The metrics that names or glob patterns fit, in the table's order.

    Args:
        patterns: the names or patterns.
        metrics: those to choose from; the table and the plug-ins by default.
    """
    known = dict(METRICS) if metrics is None else metrics
    fits = {name for name in known for pattern in patterns if name == pattern or fnmatchcase(name, pattern)}
    return {name: row for name, row in known.items() if name in fits}
