"""Exact or broken, and whether the size of the image is to blame.

What E is made of on some elements that permute or are exact, in the suite's dtype and in float64: an exact
model's error falls by eight orders of magnitude, a broken one's does not move. Where a model does not run in float64,
its error as it runs is held against what rounding in float32 comes to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.actions.base import SHARP
from symbench.base.code import foreign
from symbench.base.errors import CellError, DataError, ModelError, Problem
from symbench.domains.common.handling import handling_of
from symbench.measure.evaluate.examined import Examined, NoBudget, joined
from symbench.measure.evaluate.extent import nearest
from symbench.measure.evaluate.job import Job, exchanging, kinds, load_leaves, sides
from symbench.measure.evaluate.plans import FEW, GEOMETRY, MOST_ELEMENTS
from symbench.measure.evaluate.precision import lower_inside
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rows import (
    Columns,
    Leaves,
    Outputs,
    as_compared,
    outputs_of,
    pairing,
    spread,
    table,
)

EXACT, ROUNDING = 1e-10, 30 * 2.0**-23
"""E in float64 below which a model is exact; the relative error that rounding in float32 stays below."""
BROKEN, EXACTLY, UNDETERMINED, UNTOLD = "broken", "exact", "undetermined", "not told apart"
"""What may be found of an output."""
MARGIN = 10.0
"""How far beyond a limit E has to be for few samples to be enough."""
FEWEST = 2
"""Elements under which a model is looked at before it may count as broken."""
PLAINLY = 1e-3
"""E in float32 above which a size is plainly not exact."""


class Errors:
    """What E is made of in one dtype, grown by samples and elements.

    Attributes:
        job: the cell in that dtype.
        moved: outputs of the first samples by element.
    """

    def __init__(self, cell: Examined, job: Job, moved: dict[int, Outputs] | None = None) -> None:
        self.cell, self.job = cell, job
        self.moved: dict[int, Outputs] = {} if moved is None else moved
        self.span, self.leaves = (0, 0), dict[str, Tensor]()

    def run(self, number: int, count: int) -> None:
        """Run what is missing of the first samples under an element."""
        known = self.moved.get(number, {})
        have = len(next(iter(known.values()))) if known else 0
        if have < count:
            samples = self.cell.chosen[have:count]
            more = outputs_of(self.job, samples, number=number, loaded=self._loaded(have, count))
            self.moved[number] = joined(known, more)

    def _loaded(self, first: int, last: int) -> Leaves:
        """The leaves of some samples: read once for all elements."""
        if self.span != (first, last):
            self.span, self.leaves = (first, last), load_leaves(self.job, self.cell.chosen[first:last])[0]
        return self.leaves

    def columns(self, reference: Reference, count: int) -> dict[int, Columns]:
        """``deviation_sq`` and ``unrelated_sq`` of the first samples, by element."""
        samples, unmoved, name = self.cell.chosen[:count], self.cell.unmoved(self.job, count), reference.task.output
        moved = {n: outputs for n, outputs in self.moved.items() if len(outputs[name]) == count}
        return {n: _pairing(self.job, reference, samples, n, unmoved, outputs) for n, outputs in moved.items()}


def compare_precisions(cell: Examined) -> str | None:
    """Rows ``suite dtype`` and ``float64`` of some elements, the reason where none permutes or is exact.

    A few samples under every element tell whether a model is exact, since it may be broken under any one of them;
    where it is plainly broken already, no more elements are looked at.
    """
    numbers = spread(sharp(cell.job, cell.chosen), MOST_ELEMENTS)
    if not numbers:
        return "no element is a permutation or exact"
    if len(cell.chosen) < 2:
        return "a single sample has no others"
    sizes = cell.sizes("exactness")
    runs = {"suite dtype": Errors(cell, cell.job, cell.moved)}
    if cell.doubled[0] is not None:
        runs["float64"] = Errors(cell, cell.doubled[0])
    found = None
    for size in sizes:
        found = _look(cell, runs, spread(numbers, size.elements), size.samples, len(numbers))
        if found == BROKEN or (found is not None and size.elements == len(numbers)):
            break
    else:
        cell.unclear("exactness", size)
    for control, errors in runs.items():
        for reference in cell.references:
            for number, columns in errors.columns(reference, size.samples).items():
                cell.found.tables.append(
                    table(control, reference.task.output, cell.chosen[: size.samples], number, columns)
                )
    if deviates(cell.found.tables, cell.references):
        cell.found.lower = lower_inside(cell.best, cell.chosen, hidden=found != BROKEN)
    return None


def _look(cell: Examined, runs: Mapping[str, Errors], numbers: Sequence[int], count: int, whole: int) -> str | None:
    """Run some samples under some of the elements, and say what is found; no more of them where that is broken."""
    found = None
    for seen, number in enumerate(numbers, start=1):
        for errors in runs.values():
            errors.run(number, count)
        if seen >= min(FEWEST, len(numbers)):
            found = _finding(cell, runs, count, seen / whole)
            if found == BROKEN and not cell.full:
                break
    return found


def _finding(cell: Examined, runs: Mapping[str, Errors], count: int, part: float) -> str | None:
    """What is found of all outputs by a wide margin; None where more samples or elements may say otherwise.

    Args:
        cell: the cell.
        runs: what was run.
        count: samples.
        part: the share of the elements that were looked at; the others may not deviate at all.
    """
    found = [_of_output(cell, runs, number, count, part) for number in range(len(cell.references))]
    if None in found:
        return None
    return BROKEN if BROKEN in found else found[0]


def _of_output(cell: Examined, runs: Mapping[str, Errors], number: int, count: int, part: float) -> str | None:
    """The same of one output."""
    reference, whole = cell.references[number], cell.told_apart[number]
    rows = {control: list(errors.columns(reference, count).values()) for control, errors in runs.items()}
    error = {control: _root(each) for control, each in rows.items()}
    best = "float64" if "float64" in runs else "suite dtype"
    null = float(np.mean([each["unrelated_sq"].mean() for each in rows[best]]))
    if not whole > 0:
        return UNTOLD
    if not null >= whole / 4:  # these samples happen to be alike
        return None
    rounding = ROUNDING * (reference.square / null) ** 0.5
    floor = max(10 * floor_of(cell, number, whole), rounding if best == "float64" else 10 * rounding)
    e = error[best]
    if best == "suite dtype":
        return BROKEN if e * part**0.5 >= MARGIN * floor else EXACTLY if e <= rounding / MARGIN else None
    if e * part**0.5 >= MARGIN * floor and 0.7 <= error["suite dtype"] / e <= 1.4:
        return BROKEN
    if e <= EXACT / MARGIN:
        return EXACTLY
    return UNDETERMINED if EXACT * MARGIN <= e <= floor / MARGIN else None


def _root(rows: Sequence[Columns]) -> float:
    """E over some elements."""
    above, below = (float(np.mean([each[name] for each in rows])) for name in ("deviation_sq", "unrelated_sq"))
    return (above / below) ** 0.5 if below > 0 else math.inf


def floor_of(cell: Examined, number: int, null: float) -> float:
    """Three times what repeating, another batch or float64 changes of an output, in units of the null."""
    name = cell.references[number].task.output
    floors = ("repeat", "re-batch", "precision")
    found = [
        t["deviation_sq"].mean() for t in cell.found.tables if t["control"][0] in floors and t["output"][0] == name
    ]
    return 3 * (float(max(found)) / null) ** 0.5 if found else 0.0


def exact_sizes(cell: Examined) -> str | None:
    """E in float64 at the measured size and, where that is not exact, at sizes around it; as the model runs, where it
    does not run in float64.

    An even side under a stride of 2 breaks quarter turns whatever the weights are: the sampling grid is not symmetric
    about the centre. So a model that is exact at other sizes is broken by geometry. Sizes that the model does not
    take, or at which it is plainly not exact, are left out. The measured size comes first.
    """
    job, exact, sizes = cell.job, cell.best, cell.found.sizes
    errors, handling = (
        known_errors(cell.found.tables, cell.references),
        handling_of(job.dataset.fields[job.prepared.on]),
    )
    if handling.resizable and not errors and "exactness" in cell.found.short:
        raise NoBudget(cell.found.short["exactness"])
    if not handling.resizable or not errors:
        return "needs permutations of images, and two samples that are told apart"
    samples = cell.chosen[:GEOMETRY]
    canvas, side = sides(exact, samples[0])
    worst = max(errors, key=lambda number: errors[number][0])
    sizes[side], limit = errors[worst]
    if sizes[side] <= limit:
        return None
    if any(reference.task.field.value.in_units_of_a_frame for reference in cell.references):
        return "an output is in units of a frame, which other sizes would change"
    (allowed,) = cell.sizes("geometry")[-1:]
    # float32 on a few samples rules most sizes out at a fraction of the cost
    quick = next((each for each in (job, job.plain) if each.rounding == torch.finfo(torch.float32).eps), exact)
    left = allowed.passes
    for tried, size in enumerate(nearest(handling.nearby(side), side)):
        resized, scale = size + canvas - side, (size / side) ** 2
        left -= 2 * FEW * scale
        if left < 0 and not cell.full:
            cell.unclear("geometry", replace(allowed, elements=tried))
            break
        try:
            with foreign(DataError, job.cell.pair.dataset, "bringing images to another size"):
                shapes = job.dataset.shapes(canvas=resized)
            if any(action.check(shapes[leaf]) is not None for leaf, action in job.prepared.actions.items()):
                continue
            if _may_be_exact(replace(quick, canvas=resized), cell.references, samples[:FEW], worst, cell.told_apart):
                left -= 2 * len(samples) * cell.wide * scale
                error = _error(replace(exact, canvas=resized), cell.references, samples, worst)
                if error is not None:
                    sizes[size] = error
        except CellError:
            continue
    return None if len(sizes) > 1 else "no other size that the model takes is exact"


def deviates(tables: Sequence[Columns], references: Sequence[Reference]) -> bool:
    """Whether :func:`compare_precisions` found more than rounding for some element, and so something to explain."""
    return any(error > limit for error, limit in known_errors(tables, references).values())


def known_errors(tables: Sequence[Columns], references: Sequence[Reference]) -> dict[int, tuple[float, float]]:
    """The largest E of the outputs for each element that has been compared, and below what it counts as exact.

    In float64, or as the model runs where there are no rows in that.
    """
    squares_of = {reference.task.output: reference.square for reference in references}
    precise = any(rows["control"][0] == "float64" for rows in tables)
    found: dict[int, tuple[float, float]] = {}
    for rows in (each for each in tables if each["control"][0] == ("float64" if precise else "suite dtype")):
        null = float(rows["unrelated_sq"].mean())
        if null > 0:
            limit = EXACT if precise else ROUNDING * (squares_of[rows["output"][0]] / null) ** 0.5
            number, error = int(rows["element"][0]), (float(rows["deviation_sq"].mean()) / null) ** 0.5
            found[number] = max(found.get(number, (0.0, limit)), (error, limit))
    return found


def sharp(job: Job, samples: Sequence[int]) -> list[int]:
    """The elements of which nothing is lost: an exact model's error is rounding there."""
    return [number for number, kind in enumerate(kinds(job, samples)) if kind in SHARP and number > 0]


def sharp_in_shape(job: Job, samples: Sequence[int]) -> list[int]:
    """Those of them that leave the shape of every input as it is."""
    apart = exchanging(job)
    return [number for number in sharp(job, samples) if not (apart and apart[number])]


def _may_be_exact(
    job: Job, references: Sequence[Reference], samples: Sequence[int], number: int, nulls: Sequence[float]
) -> bool:
    """Whether no output deviates by more than rounding, or by a plain part of what samples differ by."""
    unmoved, moved = outputs_of(job, samples), outputs_of(job, samples, number=number)
    for reference, null in zip(references, nulls, strict=True):
        a, b = _pair(job, reference, samples, number, unmoved, moved)
        deviation = float(reference.comparison.deviation(a, b, samples).mean())
        size = float(reference.comparison.square(as_compared(unmoved, reference.task)).mean())
        if not deviation <= max((30 * job.rounding) ** 2 * size, PLAINLY**2 * null):
            return False
    return True


def _error(job: Job, references: Sequence[Reference], samples: Sequence[int], number: int) -> float | None:
    """The largest E of the outputs; None where one's samples are told apart by rounding only."""
    unmoved, moved = outputs_of(job, samples), outputs_of(job, samples, number=number)
    errors = []
    for reference in references:
        columns = _pairing(job, reference, samples, number, unmoved, moved)
        null = float(columns["unrelated_sq"].mean())
        size = float(reference.comparison.square(as_compared(unmoved, reference.task)).mean())
        # in float64 rounding stays far below what is exact; in float32 it may hide an E of 0.01, and no more
        if not null > ((1e4 if job.dtype == torch.float64 else 3e3) * job.rounding) ** 2 * size:
            return None
        errors.append(float(columns["deviation_sq"].mean() / null) ** 0.5)
    return max(errors)


def _pairing(
    job: Job, reference: Reference, samples: Sequence[int], number: int, unmoved: Outputs, moved: Outputs
) -> Columns:
    a, b = _pair(job, reference, samples, number, unmoved, moved)
    return pairing(a[0], b[0], reference.comparison, samples)


def _pair(
    job: Job, reference: Reference, samples: Sequence[int], number: int, unmoved: Outputs, moved: Outputs
) -> tuple[Tensor, Tensor]:
    """``f(g.x)`` and ``g.f(x)`` of one output under one element, ``(1, n, *output)`` each."""
    g = job.prepared.from_reference(job.prepared.elements.at(samples))[number : number + 1]
    name = reference.task.output
    reason = reference.action.check(tuple(unmoved[name].shape[1:]))
    if reason is not None:
        raise ModelError(Problem(job.model.name, f"output {name!r} cannot be moved: {reason}"))
    a, b, _ = reference.pair(g, moved[name][None], unmoved[name])
    return a, b
