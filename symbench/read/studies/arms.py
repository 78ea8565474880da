"""A run's sweeps as arms: an entry of the suite's file, at each value that it is drawn along, with its replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symbench.algebra.metrics import Metrics, shown_in
from symbench.algebra.statistics import Array
from symbench.base.errors import CellError, Problem
from symbench.base.records import CellRecord, CellStatus, Manifest
from symbench.measure.suite.studies import Asked
from symbench.read import estimates
from symbench.read.estimates import Cells


@dataclass
class Point:
    """One arm at one value of what it is drawn along.

    Attributes:
        arm: its name.
        at: the value; None where nothing is drawn along.
        records: of its finished replicas.
        failed: why others have no numbers.
    """

    arm: str
    at: Any
    records: list[CellRecord] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def costs(self, metrics: Metrics) -> dict[str, float]:
        """The median over its replicas of everything that costs are told by, as far as it is known.

        Comparisons are fair at equal cost, and there are costs of several kinds.
        """
        named = {
            name: [r.facts[name] for r in self.records if name in r.facts] for name in shown_in("costs", metrics)
        }
        known = {name: [value for value in values if value is not None] for name, values in named.items()}
        return {name: float(np.median(values)) for name, values in known.items() if values}


@dataclass(frozen=True)
class Sweep:
    """The arms that a question is about.

    Attributes:
        cells: where their files are.
        dataset: on which.
        symmetry: under which.
        points: of all arms, arm after arm.
    """

    cells: Cells
    dataset: str
    symmetry: str
    points: list[Point]

    @property
    def arms(self) -> list[str]:
        """Their names."""
        return list(dict.fromkeys(point.arm for point in self.points))

    @property
    def replicas(self) -> tuple[int, int]:
        """The fewest and the most trainings of a point."""
        counts = [len(point.records) for point in self.points]
        return min(counts), max(counts)

    def of(self, arm: str) -> list[Point]:
        """One arm's points."""
        return [point for point in self.points if point.arm == arm]


def sweep_of(cells: Cells, manifest: Manifest, asked: Asked, over: str | None) -> Sweep:
    """The arms of a question, with what is there of them.

    Args:
        cells: where the run's files are.
        manifest: the run.
        asked: the question.
        over: the key that it is drawn along.

    Raises:
        CellError: nothing of them was measured.
    """
    suite = manifest.suite
    dataset = asked.dataset or next(iter(suite["datasets"]))
    symmetry = asked.symmetry or next(iter(suite["symmetries"]))
    wanted = asked.arms or list(dict.fromkeys(of for of, point in _all(suite["models"]).values() if point))
    points: dict[tuple[str, str], Point] = {}
    for cell in manifest.cells:
        of, values = _all(suite["models"])[cell.model]
        if of not in wanted or (cell.dataset, cell.symmetry) != (dataset, symmetry):
            continue
        at = values.get(over) if over is not None else None
        rest = {key: value for key, value in values.items() if key not in {over, "seed"}}
        arm = " ".join([of, *(f"{key} {value}" for key, value in rest.items())])
        _add(points.setdefault((arm, str(at)), Point(arm, at)), cells, cell)
    kept = [point for point in points.values() if point.records]
    if not kept:
        raise CellError(Problem("studies", f"no cell of {', '.join(wanted)} on {dataset} under {symmetry} is there"))
    return Sweep(cells, dataset, symmetry, sorted(kept, key=lambda p: wanted.index(p.arm.split(" ")[0])))


def _all(models: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Of every model the entry that it came of, and the values that are its own."""
    known = {name: entry.get("swept") or {"of": name, "values": {}} for name, entry in models.items()}
    return {name: (swept["of"], swept["values"]) for name, swept in known.items()}


def _add(point: Point, cells: Cells, cell: CellStatus) -> None:
    record = cells.cell(cell.key) if cell.status != "failed" else None
    if record is None:
        point.failed.append(cell.reason or estimates.NOT_YET)
    else:
        point.records.append(record)


@dataclass(frozen=True)
class Table:
    """A metric at one point: its values for each sample and replica.

    Attributes:
        values: ``(replicas, n)``. Their mean over samples is a replica's estimate: of a mean these are the samples'
            values, of any other estimate what each sample moves it by (its influence function), added to it.
        unit: of the estimate.
    """

    values: Array
    unit: str

    @property
    def means(self) -> Array:
        """Each replica's estimate, ``(replicas,)``."""
        means: Array = self.values.mean(axis=1)
        return means


def table_of(cells: Cells, point: Point, metric: str, element: str | None, metrics: Metrics) -> Table:
    """A metric of each replica of a point.

    Raises:
        CellError: it has no value, or none for each sample.
    """
    rows = [_row(cells, record, metric, element, metrics) for record in point.records]
    lengths = {len(values) for values, _ in rows}
    if len(lengths) != 1:
        raise CellError(Problem(point.arm, f"its replicas were measured on {sorted(lengths)} samples"))
    return Table(np.stack([values for values, _ in rows]), rows[0][1])


def _row(cells: Cells, record: CellRecord, metric: str, element: str | None, metrics: Metrics) -> tuple[Array, str]:
    found = [
        each
        for each in estimates.of_cell(cells, record, {metric: metrics[metric]})
        if each.primary and each.value.element == element
    ]
    if not found or found[0].value.sampled is None:
        reason = found[0].value.reason if found else f"it has no element {element}" if element else "it has no value"
        raise CellError(Problem(metric, reason or "it is not a function of samples"))
    sampled = found[0].value.sampled.read()
    return sampled.estimate + sampled.influence(), found[0].unit


def in_words(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last
