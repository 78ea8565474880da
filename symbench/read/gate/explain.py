"""What happened where a rule failed: what else moved, the worst element, the worst class, and where pictures are."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from symbench.algebra.metrics.accuracy import accuracy, orbit_means
from symbench.algebra.metrics.base import Observed, Value
from symbench.algebra.metrics.equivariance import equivariance_error
from symbench.algebra.metrics.folds import Each, Folded, Found, Piece, Total
from symbench.algebra.statistics import Array, change
from symbench.base.records import CellRecord, MatchRecord
from symbench.measure.suite.rules import RELATIVE
from symbench.read.estimates import BOOTSTRAP_SEED
from symbench.read.estimates.folding import Wanted, folded, values_of
from symbench.read.estimates.reading import Cells, Reading, outputs_of
from symbench.read.gate.match import Sides
from symbench.read.pairing.runs import Recorded, names_of

MOST_CELLS = 20
"""Cells that are explained: their observations are read once more."""
SURE = 0.025
"""Below this one-sided p value a number is said to have moved."""


@dataclass(frozen=True)
class Sentences:
    """What is said of one output of a cell: to all rules, to those on errors, and to those on everything else."""

    always: list[str]
    of_errors: list[str]
    of_shares: list[str]


@dataclass(frozen=True)
class Explainer:
    """Explains failures of one run, reading each cell once.

    Attributes:
        run: the run.
        kept: what is said of each output of a cell, alone or beside the baseline's.
    """

    run: Recorded
    kept: dict[tuple[str, str, bool], Sentences] = field(default_factory=dict)

    def of(self, match: MatchRecord, cell: CellRecord, baseline: Cells | None, other: CellRecord | None) -> list[str]:
        """Sentences about a failed match.

        Args:
            match: of this cell.
            cell: the run's.
            baseline: where ``other`` is.
            other: the baseline's cell, of the same samples and elements; None where the rule compares with none.
        """
        if match.output is None or match.output not in cell.outputs:
            return []
        place = cell.key, match.output, other is not None
        if place not in self.kept:
            if len(self.kept) >= MOST_CELLS:
                return []
            before = {} if baseline is None or other is None else _outputs(baseline, other)
            for output, seen in _outputs(self.run.store, cell).items():
                self.kept[cell.key, output, other is not None] = _sentences(cell, before.get(output), seen)
        known = self.kept[place]
        pictures = cell.gallery_file is not None
        shown = [f"what breaks worst, in pictures: {report_command(self.run)}"] if pictures else []
        return [*known.always, *(known.of_errors if match.unit.startswith("E") else known.of_shares), *shown]


def explained(sides: Sides, records: Iterable[MatchRecord]) -> Iterator[MatchRecord]:
    """The records, those that failed with what happened.

    Args:
        sides: the run and the baseline.
        records: with their verdicts.
    """
    explainer, baseline = Explainer(sides.run), sides.against.baseline
    cells = {tuple(names_of(cell).values()): cell for cell in sides.run.cells}
    others = {tuple(names_of(cell).values()): cell for cell in baseline.cells} if baseline else {}
    for record in records:
        place = (record.model or "", record.dataset or "", record.symmetry or "")
        cell = sides.after.record(cells.get(place)) if record.verdict == "fail" else None
        if cell is None:
            yield record
            continue
        relative = record.kind in RELATIVE and record.before is not None
        other = sides.before.record(others.get(place)) if relative and sides.before else None
        yield record.model_copy(update={"happened": explainer.of(record, cell, baseline, other)})


def report_command(run: Recorded) -> str:
    """The command that writes the run's page."""
    results = [] if str(run.store.root) == "results" else ["--results", str(run.store.root)]
    return shlex.join(["symbench", "report", run.name, *results])


@dataclass(frozen=True)
class Seen:
    """What sentences are made from, of one output.

    Attributes:
        labels: of the elements.
        error: E.
        accuracy: of the samples as they are.
        errors: E at each element but the first.
        shares: of samples that are right at each element; without labels, that are predicted as unmoved.
        by_label: whether these are right.
        orbit: of each sample the mean accuracy over its orbit, whether there is one, and the label; None without
            labels.
    """

    labels: Sequence[str]
    error: Value
    accuracy: Value
    errors: Array
    shares: Array | None
    by_label: bool
    orbit: tuple[Array, Array, Array] | None


def _outputs(cells: Cells, record: CellRecord) -> dict[str, Seen]:
    return {reading.output: _seen(reading) for reading in outputs_of(cells, record)}


def _seen(reading: Reading) -> Seen:
    parts = {name: Wanted(name, metric) for name, metric in PARTS.items()}
    found = folded(reading, list(parts.values()), [lambda seen: seen])
    error, right = (values_of(parts[name], reading.context, found[parts[name]])[0] for name in ("E", "unmoved"))
    sums, shares, orbit = (found[parts[name]] for name in ("E", "shares", "orbit"))
    assert isinstance(sums, Mapping)
    assert isinstance(shares, Mapping)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors: Array = np.sqrt(sums["sums above"] / sums["sums below"])
    known = orbit if isinstance(orbit, Mapping) else None
    return Seen(
        reading.context.labels,
        error,
        right,
        errors,
        None if "right" not in shares else _shares(shares["right"], shares["count"]),
        bool(shares.get("labels")),
        None if known is None else (known["means"], known["some"], known["label"]),
    )


def _shares(right: Array, count: Array) -> Array:
    return np.where(count > 0, right / np.maximum(count, 1), np.inf)


def _counted(seen: Observed, found: Found) -> Mapping[str, Piece]:
    """For each element how many samples are right, or without labels predicted as unmoved, of how many."""
    del found
    if seen.correct is not None:
        right, count = np.where(seen.valid, seen.correct, 0.0), seen.valid
    elif seen.prediction is not None:
        right = (seen.prediction == seen.prediction[0]).astype(np.float64)
        count = np.ones(right.shape)
    else:
        return {}
    labels = Total(seen.correct is not None)
    return {"right": Total(right.sum(axis=1)), "count": Total(count.sum(axis=1)), "labels": labels}


def _orbits(seen: Observed, found: Found) -> Mapping[str, Piece] | Value:
    del found
    if seen.correct is None or seen.target is None:
        return Value(None, reason="no labels")
    means, some = orbit_means(seen, seen.correct)
    return {"means": Each(means), "some": Each(some), "label": Each(seen.target[0])}


PARTS = {
    "E": equivariance_error,
    "unmoved": accuracy,
    "shares": Folded(lambda *_: [], (_counted,), ("correct", "prediction", "valid")),
    "orbit": Folded(lambda *_: [], (_orbits,), ("correct", "target", "valid")),
}
"""What is taken of a cell for the sentences."""


def _sentences(cell: CellRecord, before: Seen | None, after: Seen) -> Sentences:
    moved = [] if before is None else _moved(before, after)
    named = cell.elements_how != "per sample"
    return Sentences(
        moved,
        list(_worst_error(before, after)) if named else [],
        [*(_worst_share(before, after) if named else ()), *_worst_class(before, after)],
    )


def _moved(before: Seen, after: Seen) -> list[str]:
    """Whether it is the symmetry that moved, or what the model gets right as it is."""
    found = []
    a, b = before.error, after.error
    if (step := _step(a, b, 1)) is not None:
        found.append(f"symmetry {step} (E {a.estimate:.3g} -> {b.estimate:.3g})")
    a, b = before.accuracy, after.accuracy
    if (step := _step(a, b, -1)) is not None:
        ends = " -> ".join(f"{100 * (one.estimate or 0.0):.1f}" for one in (a, b))
        found.append(f"unmoved accuracy itself {step} ({ends} %)")
    return [", ".join(found)] if found else []


def _step(before: Value, after: Value, worse: int) -> str | None:
    """``worse``, ``better``, ``unchanged``, or that it cannot be told; None without two numbers to pair."""
    if before.sampled is None or after.sampled is None:
        return None
    confidence = change(before.sampled, after.sampled, worse, seed=BOOTSTRAP_SEED)
    if abs(confidence.estimate) < 5e-4:
        return "unchanged"
    if confidence.p_above(0.0) < SURE:
        return "worse"
    return "better" if confidence.p_below(0.0) < SURE else "not surely changed"


def _worst_error(before: Seen | None, after: Seen) -> Iterator[str]:
    """The element with the largest E."""
    found = after.errors
    if np.isfinite(found).any():
        worst = int(np.nanargmax(found))
        was = "" if before is None else f" (before: {before.errors[worst]:.3g})"
        yield f"worst element {after.labels[1 + worst]}: E {found[worst]:.3g}{was}"


def _worst_share(before: Seen | None, after: Seen) -> Iterator[str]:
    """The element at which fewest are right; without labels, at which fewest are predicted as unmoved."""
    found, first = after.shares, None if before is None else before.shares
    if found is not None and np.isfinite(found).any():
        worst = int(found.argmin())
        was = "" if first is None else f" (before: {100 * first[worst]:.1f} %)"
        what = "accuracy of" if after.by_label else "predicted as unmoved on"
        yield f"worst element {after.labels[worst]}: {what} {100 * found[worst]:.1f} %{was}"


def _worst_class(before: Seen | None, after: Seen) -> Iterator[str]:
    """The class that lost most over the orbit, or that fewest are right of."""
    if after.orbit is None:
        return
    means, some, labels = after.orbit
    first = None if before is None or before.orbit is None else before.orbit[0]
    classes = np.unique(labels[some])
    if len(classes) < 2:
        return
    mine = [some & (labels == label) for label in classes]
    now = np.array([means[rows].mean() for rows in mine])
    was = None if first is None else np.array([first[rows].mean() for rows in mine])
    worst = int((now if was is None else now - was).argmin())
    ago = "" if was is None else f" (before: {100 * was[worst]:.1f} %)"
    count = int(mine[worst].sum())
    yield f"worst class {classes[worst]:g}: right on {100 * now[worst]:.1f} % over the orbit{ago}, {count:,} samples"
