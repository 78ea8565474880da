"""A run's sweeps as arms: an entry of the suite's file, at each value that it is drawn along, with its replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symbench.algebra.metrics import Metrics
from symbench.algebra.statistics import Array
from symbench.base.errors import CellError, Problem
from symbench.base.records import CellRecord, CellStatus, Manifest
from symbench.measure.suite.studies import Asked, arm_of, in_words
from symbench.read import estimates
from symbench.read.estimates import Cells


@dataclass
class Point:
    """One arm at one value of what it is drawn along.

    Attributes:
        arm: its name.
        of: the entry of the suite's file that it came of.
        at: the value; None where nothing is drawn along.
        number: of the value among the arm's, as the file has them.
        records: of its finished replicas.
        failed: why others have no numbers.
        waiting: how many are not measured yet.
    """

    arm: str
    of: str
    at: Any
    number: int
    records: list[CellRecord] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    waiting: int = 0

    @property
    def place(self) -> tuple[str, str]:
        """What tells it from other points."""
        return self.arm, in_words(self.at)

    @property
    def missing(self) -> str:
        """Why replicas have no numbers, in words; empty where all have some."""
        parts = [f"{len(self.failed)} failed ({self.failed[0]})"] if self.failed else []
        parts += [f"{self.waiting} not measured yet"] if self.waiting else []
        return " and ".join(parts)

    def costs(self, metrics: Metrics) -> dict[str, float]:
        """The median over its replicas of all that is known of a model whatever the symmetry.

        Comparisons are fair at equal cost, and there are costs of several kinds.
        """
        names = [name for name, row in metrics.items() if row.scope == "model"]
        facts = {name: [record.facts.get(name) for record in self.records] for name in names}
        known = {name: [value for value in values if value is not None] for name, values in facts.items()}
        return {name: float(np.median(values)) for name, values in known.items() if values}


@dataclass(frozen=True)
class Sweep:
    """The arms that a question is about.

    Attributes:
        cells: where their files are.
        dataset: on which.
        symmetry: under which.
        points: of all arms, arm after arm, those of numbers in their order.
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
        """The fewest and the most trainings of a point that has any."""
        counts = [len(point.records) for point in self.points if point.records]
        return min(counts), max(counts)

    @property
    def missing(self) -> list[str]:
        """What has no numbers, a sentence for each point."""
        found = ((point, point.missing) for point in self.points)
        return [f"{p.arm}{'' if p.at is None else f' at {p.place[1]}'}: {why}." for p, why in found if why]

    def of(self, entry: str) -> list[Point]:
        """The points of one entry."""
        return [point for point in self.points if point.of == entry]


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
    models = _all(suite["models"])
    wanted = asked.arms or list(dict.fromkeys(of for of, values in models.values() if values))
    points: dict[tuple[str, str], Point] = {}
    for cell in manifest.cells:
        of, values = models[cell.model]
        if of not in wanted or (cell.dataset, cell.symmetry) != (dataset, symmetry):
            continue
        arm, at = arm_of(of, values, over), values.get(over or "")
        place = (arm, in_words(at))
        if place not in points:
            points[place] = Point(arm, of, at, sum(point.arm == arm for point in points.values()))
        _add(points[place], cells, cell)
    if not any(point.records for point in points.values()):
        raise CellError(Problem("studies", f"no cell of {', '.join(wanted)} on {dataset} under {symmetry} is there"))
    return Sweep(cells, dataset, symmetry, _ordered(list(points.values()), wanted))


def _ordered(points: list[Point], wanted: Sequence[str]) -> list[Point]:
    """Arm after arm as they are wanted, and their values in order where all are numbers."""
    arms = list(dict.fromkeys(point.arm for point in points))
    numbers = all(isinstance(point.at, (int, float)) for point in points)
    return sorted(points, key=lambda p: (wanted.index(p.of), arms.index(p.arm), p.at if numbers else p.number))


def _all(models: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Of every model the entry that it came of, and the values that are its own."""
    known = {name: entry.get("swept") or {"of": name, "values": {}} for name, entry in models.items()}
    return {name: (swept["of"], swept["values"]) for name, swept in known.items()}


def _add(point: Point, cells: Cells, cell: CellStatus) -> None:
    record = cells.cell(cell.key) if cell.status != "failed" else None
    if record is not None:
        point.records.append(record)
    elif cell.status == "failed":
        point.failed.append((cell.reason or "no reason is known").rstrip("."))
    else:
        point.waiting += 1


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
    if metric not in metrics:
        raise CellError(Problem(metric, "nobody knows this metric", "one of the table, or one under metrics:"))
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
    # of several outputs the first that has it: accuracy is that of a linear probe, behind an embedding that has none
    for each in found:
        if each.value.sampled is not None:
            sampled = each.value.sampled.read()
            return sampled.estimate + sampled.influence(), each.unit
    reason = found[0].value.reason if found else f"it has no element {element}" if element else "it has no value"
    raise CellError(Problem(metric, reason or "it is not a function of samples"))


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last
