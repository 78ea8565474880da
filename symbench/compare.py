"""Two runs on the same samples and elements, paired: what got better, what got worse, and what cannot be said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa

from symbench import estimates
from symbench.estimates import Estimate
from symbench.estimates.identical import same_numbers, same_observations, same_weights
from symbench.metrics import METRICS, MetricRow, Metrics, shown_in
from symbench.records import CellRecord, CellStatus, CompareRecord, Manifest, PairRecord
from symbench.statistics import Doubt, Mean, change, holm, mcnemar, relative_change
from symbench.store import Store

Mark = Literal["better", "worse", "same", "inconclusive", "not comparable", "only in A", "only in B"]
MARKS: tuple[Mark, ...] = ("worse", "better", "inconclusive", "same", "not comparable", "only in A", "only in B")
ALPHA = 0.05


class Measured(estimates.Cells, Protocol):
    """A run or a baseline: its cells, and where they are."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def cells(self) -> Sequence[CellStatus]:
        """Its cells, measured or not."""


class Timed:
    """The records of a run or a baseline, each with its model's time over all cells, which took one each."""

    def __init__(self, measured: Measured) -> None:
        self.measured = measured
        self.times = estimates.times(measured, measured.cells)

    def record(self, cell: CellStatus | None) -> CellRecord | None:
        """The record of a cell that is measured."""
        if cell is None or cell.status == "failed":
            return None
        found = self.measured.cell(cell.key)
        return found and estimates.with_seconds(found, self.times.get((cell.model, cell.dataset), []))

    def fault(self, cell: CellStatus | None) -> str | None:
        """Why a cell that is there counts as not measured."""
        return None if cell is None or cell.status == "failed" else self.measured.fault(cell.key)


@dataclass(frozen=True)
class Recorded:
    """A run in a results folder."""

    store: Store
    manifest: Manifest

    @property
    def name(self) -> str:
        """Its id."""
        return self.manifest.run

    @property
    def cells(self) -> Sequence[CellStatus]:
        """Its cells, measured or not."""
        return self.manifest.cells

    def cell(self, key: str) -> CellRecord | None:
        """The record of a finished cell, if it is there."""
        return self.store.cell(key)

    def fault(self, key: str) -> str | None:
        """Why a cell that is there counts as not measured."""
        return self.store.fault(key)

    def observations(self, key: str) -> pa.Table:
        """All observations of a finished cell."""
        return self.store.observations(key)

    def samples(self, key: str) -> pa.Table:
        """The table of whole orbits of a finished cell."""
        return self.store.samples(key)

    def controls(self, key: str) -> pa.Table:
        """The rows of a finished cell's controls."""
        return self.store.controls(key)


def incomparable(before: CellRecord, after: CellRecord) -> str | None:
    """Why two cells are not of the same samples, elements and numbers; None where they are."""
    a, b = before.identity, after.identity
    for words, path in (
        ("another dataset", ("dataset",)),
        ("another rule of which labels elements keep", ("valid",)),
        ("other elements of the symmetry", ("symmetry",)),
        ("another version of the measurement", ("versions",)),
        ("other samples", ("limit",)),
        ("another order of the samples", ("seed",)),
        ("measured on other outputs", ("scores",)),
    ):
        if a.get(path[0]) != b.get(path[0]):
            return words
    one, two = a["numerics"], b["numerics"]
    changed = [key for key in sorted({*one, *two}) if one.get(key) != two.get(key)]
    if changed:
        return f"other numerics: {', '.join(f'{key} {one.get(key)} and {two.get(key)}' for key in changed)}"
    if before.tasks != after.tasks:
        return "other outputs"
    return None if before.samples == after.samples else "other samples"


def other_hardware(before: CellRecord, after: CellRecord) -> str | None:
    """Why times of two cells cannot be compared; None where they can."""
    for key in ("device", "processor", "threads", "platform", "batch"):
        a, b = before.environment.get(key), after.environment.get(key)
        if a is None or a != b:
            return f"other hardware: {key} {a or 'unknown'} and {b or 'unknown'}"
    return None


def at_floor(found: Estimate) -> bool:
    """Whether a number that should be low is no more than repeating and precision change it by."""
    value, low = found.value.estimate, found.row.better == "lower" and found.unit != "share"
    return low and value is not None and found.floor is not None and value <= found.floor


@dataclass(frozen=True)
class Paired:
    """One estimate in two runs.

    Attributes:
        before: the first's; None where it has none.
        after: the second's.
        reason: why there is nothing to compare.
        identical: both are of the same cell, or of the same weights and observations, and functions of the very same
            values.
    """

    before: Estimate | None
    after: Estimate | None
    reason: str | None = None
    identical: bool = False

    @property
    def either(self) -> Estimate:
        """One of the two."""
        found = self.after or self.before
        assert found is not None
        return found

    def doubt(self, relative: float | None = None) -> Doubt | None:
        """How much worse the second is, with what is known about it; None without two numbers to pair.

        Args:
            relative: how much worse than this part of the first's value, instead.

        Raises:
            ValueError: they are of other samples.
        """
        if self.before is None or self.after is None:
            return None
        a, b = self.before.value, self.after.value
        if a.estimate is None or b.estimate is None:
            return None
        worse = worse_of(self.after)
        if a.sampled is None or b.sampled is None:
            return Doubt(worse * (b.estimate - a.estimate), None, None, b.n or 0, 0.0)
        if relative is not None:
            return relative_change(a.sampled, b.sampled, worse, relative, seed=estimates.BOOTSTRAP_SEED)
        return change(a.sampled, b.sampled, worse, seed=estimates.BOOTSTRAP_SEED)


def worse_of(estimate: Estimate) -> int:
    """1 where more is worse, -1 where less is."""
    return -1 if estimate.row.better == "higher" else 1


def pair_cells(before: Measured, after: Measured, a: CellRecord, b: CellRecord, metrics: Metrics) -> Iterator[Paired]:
    """The estimates of one cell in two runs, those of the second in its order, then those that it lacks."""
    reason = None if a.key == b.key else incomparable(a, b)
    hardware = other_hardware(a, b)
    controls = None if a.identity.get("controls") == b.identity.get("controls") else "other control samples"
    whole = a.key == b.key or (reason is None and same_weights(a, b) and same_observations(before, a, after, b))
    first = {found.identity: found for found in estimates.of_cell(before, a, metrics)}
    for found in estimates.of_cell(after, b, metrics):
        other = first.pop(found.identity, None)
        why = reason or (controls if found.row.scope == "control" else hardware if found.unit == "s" else None)
        same = other is not None and why is None and whole and same_numbers(other, found)
        yield Paired(other, found, why, identical=same and found.unit != "s")
    yield from (Paired(found, None, reason) for found in first.values())


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
    for pair in pair_cells(sides[0].measured, sides[1].measured, records[0], records[1], metrics):
        nothing = pair.before and pair.after and pair.before.value.estimate is pair.after.value.estimate is None
        if pair.either.primary and pair.either.value.element is None and not nothing:
            yield _row(names, pair)


def faults(measured: Measured) -> list[str]:
    """What of a run counts as not measured although it is there, a sentence each."""
    found = ((cell, measured.fault(cell.key)) for cell in measured.cells if cell.status != "failed")
    return [f"{'/'.join(names_of(c).values())} (cell {c.key[:12]}): {fault}" for c, fault in found if fault]


def names_of(cell: CellStatus) -> dict[str, str]:
    """Its names, by their kind."""
    return {"model": cell.model, "dataset": cell.dataset, "symmetry": cell.symmetry}


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
    doubt = pair.doubt()
    assert doubt is not None
    if found.value.sampled is None:
        undecided = found.row.better == "neither" or found.unit == "s"
        mark = "same" if a == b else "inconclusive" if undecided else "worse" if doubt.estimate > 0 else "better"
        return row.model_copy(update={**numbers, "mark": mark, "reason": "a number without an interval"})
    if doubt.low is not None and doubt.high is not None:
        ends = sorted((worse_of(found) * doubt.low, worse_of(found) * doubt.high))
        numbers |= {"low": ends[0], "high": ends[1]}
        numbers["p_value"] = min(1.0, 2 * min(doubt.p_above(0.0), doubt.p_below(0.0)))
    numbers |= _mcnemar(pair)
    return row.model_copy(update=numbers)


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
