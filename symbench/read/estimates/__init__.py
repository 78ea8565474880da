"""From a run's files to its table of estimates: the one table that reports, comparisons and gates read.

No torch: everything here works on a laptop that has only the results folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import methodcaller
from typing import Any

import numpy as np
import pandas as pd

from symbench.algebra.metrics import METRICS, MetricRow, Metrics, role_of
from symbench.algebra.metrics.base import Context, Observed, Value
from symbench.algebra.metrics.brought import of_manifest
from symbench.algebra.metrics.folds import Folded, Found
from symbench.algebra.statistics import LEVEL
from symbench.base.code import foreign
from symbench.base.errors import CellError
from symbench.base.records import CellRecord, CellStatus, Manifest
from symbench.measure.suite.studies import arm_of
from symbench.read.estimates.floors import BASIS, with_controls
from symbench.read.estimates.folding import Choose, Wanted, folded, values_of
from symbench.read.estimates.passes import NONE, Taken, taken
from symbench.read.estimates.reading import Cells, Reading, outputs_of

__all__ = [
    "BOOTSTRAP_SEED", "COLUMNS", "NONE", "Cells", "Estimate", "Taken", "of_cell", "of_run", "taken", "times",
    "with_seconds",
]  # fmt: skip

COLUMNS = (
    "model", "replica", "dataset", "symmetry", "output", "task", "element", "elements", "stratum", "k", "metric",
    "estimate", "low", "high", "level", "n", "unit", "better", "floor", "status", "reason", "remark",
)  # fmt: skip
"""The columns, one row for each estimate. ``status`` is ``ok``, ``undefined`` (with a reason) or ``failed``; ``task``
is what the output is for, and ``remark``, in the row of its E, what was taken for granted of it and which controls
had too small a budget."""
TIME = role_of("time")
"""What every cell of a model measures once, and reports as one number: the metric, and the fact of that name."""
BOOTSTRAP_SEED = 0
NOT_YET = "not measured yet"
"""The reason of a planned cell."""


@dataclass(frozen=True)
class Estimate:
    """One estimate of a cell: what it is of, and its value with what that is a function of.

    Attributes:
        metric: its name.
        row: its metric.
        output: the model's output, or a layer; None for what no symmetry changes.
        elements: the kind of the elements, or ``all``.
        k: how many they are.
        unit: of the estimate.
        floor: below which it means nothing.
        value: the estimate.
        primary: whether it is over all of a cell's elements, not some of them.
        stratum: the piece of the group that it is over, where it has several and it is over one of them.
        alone: whether the output is the only one of its cell, so that its name does not matter.
    """

    metric: str
    row: MetricRow
    output: str | None
    elements: str | None
    k: int | None
    unit: str
    floor: float | None
    value: Value
    primary: bool = True
    alone: bool = False
    stratum: str | None = None

    @property
    def identity(self) -> tuple[str, str | None, str | None, str | None, str | None]:
        """What pairs it with another cell's: metric, output, elements, stratum and element."""
        return self.metric, None if self.alone else self.output, self.elements, self.stratum, self.value.element


def of_run(cells: Cells, manifest: Manifest, metrics: Metrics | None = None) -> pd.DataFrame:
    """Every estimate of a run, one row each, in the order of the plan. A failed cell is rows with its reason.

    Args:
        cells: where its files are.
        manifest: the run.
        metrics: of which; by default all that there are, those among them that the suite brings as code.
    """
    chosen = of_manifest(manifest) if metrics is None else metrics
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    seconds, replicas = times(cells, manifest.cells), replicas_of(manifest)
    for cell in manifest.cells:
        record = cells.cell(cell.key) if cell.status != "failed" else None
        if record is None:
            rows.extend(_failed(cell, cells.fault(cell.key), chosen))
            continue
        fresh = (cell.model, cell.dataset) not in seen
        seen.add((cell.model, cell.dataset))
        timed = with_seconds(record, seconds.get((cell.model, cell.dataset), []))
        passes = taken(cells, manifest.passes, cell.model, cell.dataset) if fresh else NONE
        rows.extend(
            _row(cell, estimate) | _said(estimate, record)
            for estimate in of_cell(cells, timed, chosen, passes)
            if fresh or estimate.row.scope != "model"
        )
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["replica"] = frame["model"].map(replicas)
    numbers = ["estimate", "low", "high", "level", "floor"]
    frame[numbers] = frame[numbers].astype("float64")
    frame[["k", "n", "replica"]] = frame[["k", "n", "replica"]].astype("Int64")
    return frame


def replicas_of(manifest: Manifest) -> dict[str, int]:
    """Which training each model is of those that differ by their seed alone, from 0; 0 for all others."""
    counts: dict[str, int] = {}
    found = {}
    for name, entry in manifest.suite.get("models", {}).items():
        swept = entry.get("swept") if isinstance(entry, dict) else None
        if swept is None:
            found[name] = 0
            continue
        place = arm_of(swept["of"], swept["values"], None)
        found[name] = counts.get(place, 0)
        counts[place] = found[name] + 1
    return found


def _said(estimate: Estimate, record: CellRecord) -> dict[str, Any]:
    """What the record says of the estimate's output and of how it was computed; layers are no outputs."""
    known = record.outputs.get(estimate.output or "", {})
    if not (estimate.row.role == "deviation" and estimate.primary and estimate.value.element is None):
        return {"task": known.get("task"), "remark": None}
    found = [each.words for each in record.findings if each.words and each.output in (None, estimate.output)]
    remarks = found + [text for text in (known.get("remark"), *map(record.remarks.get, ("group", "mode"))) if text]
    if estimate.output == next(iter(record.outputs)):
        remarks += [f"{control} {words}" for control, words in record.short.items()]
    return {"task": known.get("task"), "remark": "; ".join(remarks) or None}


def times(cells: Cells, planned: Iterable[CellStatus]) -> dict[tuple[str, str], list[float]]:
    """What every model took for a sample of every dataset, in seconds: each of its cells timed it once."""
    found: dict[tuple[str, str], list[float]] = {}
    for cell in planned:
        record = cells.cell(cell.key) if cell.status != "failed" else None
        seconds = record.facts.get(TIME) if record is not None else None
        if seconds is not None:
            found.setdefault((cell.model, cell.dataset), []).append(seconds)
    return found


def with_seconds(record: CellRecord, taken: list[float]) -> CellRecord:
    """A cell's record with the time that its model takes: the median over its cells.

    Its spread is that within the cell, and reaches as far as any cell.
    """
    if not taken:
        return record
    facts: dict[str, float | None] = {TIME: float(np.median(taken))}
    for name, end in (("seconds_low", min), ("seconds_high", max)):
        own = record.facts.get(name)
        known = taken if own is None else [*taken, own]
        facts[name] = end(known) if len(known) > 1 else None
    return record.model_copy(update={"facts": {**record.facts, **facts}})


def of_cell(
    cells: Cells, record: CellRecord, metrics: Metrics | None = None, passes: Taken = NONE
) -> Iterator[Estimate]:
    """The estimates of one cell, without their intervals.

    Args:
        cells: where its files are.
        record: the cell.
        metrics: of which; all that there are by default.
        passes: throughput passes of the cell's model on its dataset.
    """
    chosen = dict(METRICS) if metrics is None else metrics
    controls = cells.controls(record.key).to_pandas()
    for reading in outputs_of(cells, record):
        mine = controls[(controls["output"] == reading.output) | (controls["control"] == "layer")]
        yield from _of_output(reading, chosen, mine, passes)


def _of_output(reading: Reading, metrics: Metrics, controls: pd.DataFrame, passes: Taken) -> Iterator[Estimate]:
    record, output = reading.record, reading.output
    first = output == next(iter(record.outputs))
    subsets = list(_subsets(reading.context))
    loaded = {name: _loaded(name, row) for name, row in metrics.items() if row.scope != "model" or first}
    wanted = [
        Wanted(name, loaded[name], number)
        for name in loaded
        for number in range(len(subsets) if metrics[name].scope == "symmetry" else 1)
    ]
    basis = Wanted("floors", BASIS)
    folds = [each for each in wanted if isinstance(each.metric, Folded)]
    found = folded(reading, [basis, *folds], [subset.choose for subset in subsets])
    came = found[basis]
    assert isinstance(came, Mapping)
    whole = passes.seen(with_controls(reading.context, controls, record, output, came))
    tables = Tables(reading, lambda seen: passes.seen(with_controls(seen, controls, record, output, came)))
    for each in wanted:
        subset, row = subsets[each.subset], metrics[each.name]
        known = subset.choose(whole)
        for value in _values(each, row, known, found.get(each), partial(tables.of, subset)):
            if value.element is None or not each.subset:
                yield _estimate(each.name, row, value, whole, record, output, subset, known.moved)


@dataclass(frozen=True)
class Subset:
    """Some elements of a cell.

    Attributes:
        kind: their kind, or ``all``.
        stratum: the piece of the group that they are of, where there are several and they are of one.
        choose: takes them of what is known of the cell.
        primary: whether they are all.
    """

    kind: str
    stratum: str | None
    choose: Choose
    primary: bool = False


def _subsets(whole: Context) -> Iterator[Subset]:
    """All elements; those of each kind where there are several; and those of each piece of the group, likewise."""
    kinds = sorted(set(whole.kinds[1:]))
    every = kinds[0] if len(kinds) == 1 else "all"
    yield Subset(every, None, lambda seen: seen, primary=True)
    if len(kinds) > 1:
        yield from (Subset(kind, None, methodcaller("only", kind)) for kind in kinds)
    strata = sorted({stratum for stratum in whole.strata[1:] if stratum is not None})
    if len(strata) > 1:
        yield from (Subset(every, stratum, methodcaller("of_stratum", stratum)) for stratum in strata)


@dataclass
class Tables:
    """All observations of an output in memory, for metrics that are functions of them: read when one asks.

    Attributes:
        reading: the observations.
        complete: adds what controls came to.
    """

    reading: Reading
    complete: Callable[[Observed], Observed]

    @cached_property
    def whole(self) -> Observed:
        """The observations of all elements and samples."""
        return self.complete(self.reading.whole())

    def of(self, subset: Subset) -> Observed:
        """Those of some elements."""
        found: Observed = subset.choose(self.whole)
        return found


def _estimate(
    name: str,
    row: MetricRow,
    value: Value,
    whole: Context,
    record: CellRecord,
    output: str,
    subset: Subset,
    moved: int,
) -> Estimate:
    if row.scope == "model":
        return Estimate(name, row, None, None, None, row.unit, None, value)
    unit = record.outputs[output]["unit"] if row.unit == "output" else row.unit
    floor = whole.controls.get(row.floor) if row.floor and value.estimate is not None else None
    place = (value.output or output, value.kind or subset.kind, value.k or moved, value.unit or unit, floor)
    alone = len(record.outputs) == 1 and not value.output
    return Estimate(name, row, *place, value, primary=subset.primary, alone=alone, stratum=subset.stratum)


def _loaded(name: str, row: MetricRow) -> Any:
    """What computes a metric; of one that cannot be had, the estimate that says so."""
    try:
        with foreign(CellError, f"metric {name}", "computing it"):
            return row.load()
    except CellError as error:
        return Value(None, reason=str(error), failed=True)


def _values(
    wanted: Wanted, row: MetricRow, known: Context, found: Found | Value | None, table: Callable[[], Observed]
) -> list[Value]:
    """A metric that cannot break the table: what a plug-in's raises becomes the row's reason."""
    metric = wanted.metric
    if isinstance(metric, Value):
        return [metric]
    try:
        with foreign(CellError, f"metric {wanted.name}", "computing it"):
            if found is not None:
                values = values_of(wanted, known, found)
            else:
                values = metric(table() if row.observations else known)
            return [_finite(value) for value in values]
    except CellError as error:
        return [Value(None, reason=str(error), failed=True)]


def _finite(value: Value) -> Value:
    if value.estimate is None or np.isfinite(value.estimate):
        return value
    return replace(value, estimate=None, sampled=None, reason=f"the estimate is {value.estimate}", failed=True)


def _failed(cell: CellStatus, fault: str | None, metrics: Metrics) -> Iterator[dict[str, Any]]:
    status = "failed" if cell.status == "failed" else "missing"
    for name, metric in metrics.items():
        if metric.scope != "model":
            value = Value(None, reason=cell.reason or fault or NOT_YET)
            yield _row(cell, Estimate(name, metric, None, None, None, metric.unit, None, value), status)


def _row(cell: CellStatus, estimate: Estimate, status: str | None = None) -> dict[str, Any]:
    value, row = estimate.value, estimate.row
    try:
        with foreign(CellError, f"metric {estimate.metric}", "the interval"):
            interval = value.interval(seed=BOOTSTRAP_SEED)
    except CellError as error:
        interval, value = None, replace(value, estimate=None, reason=str(error), failed=True)
    low, high = (interval.low, interval.high) if interval else value.spread or (None, None)
    return {
        "model": cell.model, "dataset": cell.dataset,
        "symmetry": None if row.scope == "model" else cell.symmetry, "output": estimate.output,
        "element": value.element, "elements": estimate.elements, "stratum": estimate.stratum, "k": estimate.k,
        "metric": estimate.metric, "estimate": value.estimate, "low": low, "high": high, "level": LEVEL if interval
        else None, "n": value.n, "unit": estimate.unit, "better": row.better, "floor": estimate.floor,
        "status": status or value.status, "reason": value.reason,
    }  # fmt: skip
