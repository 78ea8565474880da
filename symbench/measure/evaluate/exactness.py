"""Exact or broken, and whether the size of the image is to blame.

What E is made of on some elements that permute or are exact, in the suite's dtype and in float64: an exact
model's error falls by eight orders of magnitude, a broken one's does not move. Where a model does not run in float64,
its error as it runs is held against what rounding in float32 comes to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from symbench.algebra.actions.base import SHARP
from symbench.base.code import foreign
from symbench.base.errors import CellError, DataError, ModelError, Problem
from symbench.domains.common.handling import handling_of
from symbench.measure.evaluate.job import Job, kinds, load_leaves, sides
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rows import Columns, Outputs, as_compared, outputs_of, pairing, spread, squares, table

MOST_ELEMENTS, MOST_SAMPLES = 8, 64
"""Exact elements and samples on which E is compared in two precisions: enough to tell 1e-7 from 1e-16."""
EXACT, ROUNDING = 1e-10, 30 * 2.0**-23
"""E in float64 below which a model is exact; the relative error that rounding in float32 stays below."""
SIZES, FEW = 6, 2
"""Samples on which other sizes are tried, in float64 and beforehand."""
PLAINLY = 1e-3
"""E in float32 above which a size is plainly not exact."""


def compare_precisions(
    runs: Mapping[str, tuple[Job, Outputs]],
    references: Sequence[Reference],
    chosen: Sequence[int],
    tables: list[Columns],
) -> str | None:
    """Rows ``suite dtype`` and ``float64`` of some elements, the reason where none permutes or is exact.

    Args:
        runs: by the control's name, the job in that dtype and its outputs for the control samples as they are.
        references: the outputs.
        chosen: control samples.
        tables: filled in.
    """
    samples = chosen[:MOST_SAMPLES]
    numbers = _sharp(next(iter(runs.values()))[0], samples)
    if not numbers:
        return "no element is a permutation or exact"
    if len(samples) < 2:
        return "a single sample has no others"
    for control, (each, outputs) in runs.items():
        unmoved = {name: values[: len(samples)] for name, values in outputs.items()}
        leaves, _ = load_leaves(each, samples)
        for number in spread(numbers, MOST_ELEMENTS):
            moved = outputs_of(each, samples, number=number, loaded=leaves)
            for reference in references:
                columns = _pairing(each, reference, samples, number, unmoved, moved)
                tables.append(table(control, reference.task.output, samples, number, columns))
    return None


def exact_sizes(
    job: Job,
    exact: Job,
    references: Sequence[Reference],
    chosen: Sequence[int],
    tables: Sequence[Columns],
    sizes: dict[int, float],
) -> str | None:
    """E in float64 at the measured size and, where that is not exact, at sizes around it; as the model runs, where it
    does not run in float64.

    An even side under a stride of 2 breaks quarter turns whatever the weights are: the sampling grid is not symmetric
    about the centre. So a model that is exact at other sizes is broken by geometry. Sizes that the model does not
    take, or at which it is plainly not exact, are left out.

    Args:
        job: in the suite's dtype.
        exact: in float64, or the same.
        references: the outputs.
        chosen: control samples.
        tables: with the rows of :func:`compare_precisions`, which hold the measured size already.
        sizes: filled in; the measured size comes first.
    """
    samples, errors = chosen[:SIZES], _known_errors(tables, references)
    handling = handling_of(job.dataset.fields[job.prepared.on])
    if not handling.resizable or not errors:
        return "needs permutations of images, and two samples that are told apart"
    canvas, side = sides(exact, samples[0])
    worst = max(errors, key=lambda number: errors[number][0])
    sizes[side], limit = errors[worst]
    if sizes[side] <= limit:
        return None
    # float32 on a few samples rules most sizes out at a fraction of the cost
    quick = next((each for each in (job, job.plain) if each.rounding == torch.finfo(torch.float32).eps), exact)
    for size in handling.nearby(side):
        resized = size + canvas - side
        try:
            with foreign(DataError, job.cell.pair.dataset, "bringing images to another size"):
                shapes = job.dataset.shapes(canvas=resized)
            if any(action.check(shapes[leaf]) is not None for leaf, action in job.prepared.actions.items()):
                continue
            if _may_be_exact(replace(quick, canvas=resized), references, samples[:FEW], worst):
                error = _error(replace(exact, canvas=resized), references, samples, worst)
                if error is not None:
                    sizes[size] = error
        except CellError:
            continue
    return None if len(sizes) > 1 else "no other size that the model takes is exact"


def deviates(tables: Sequence[Columns], references: Sequence[Reference]) -> bool:
    """Whether :func:`compare_precisions` found more than rounding for some element, and so something to explain."""
    return any(error > limit for error, limit in _known_errors(tables, references).values())


def _known_errors(tables: Sequence[Columns], references: Sequence[Reference]) -> dict[int, tuple[float, float]]:
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


def _sharp(job: Job, samples: Sequence[int]) -> list[int]:
    """The elements of which nothing is lost: an exact model's error is rounding there."""
    return [number for number, kind in enumerate(kinds(job, samples)) if kind in SHARP and number > 0]


def _may_be_exact(job: Job, references: Sequence[Reference], samples: Sequence[int], number: int) -> bool:
    """Whether no output deviates by more than rounding, or by a plain part of what samples differ by."""
    unmoved, moved = outputs_of(job, samples), outputs_of(job, samples, number=number)
    for reference in references:
        columns = _pairing(job, reference, samples, number, unmoved, moved)
        size = float(squares(as_compared(unmoved, reference.task))["deviation_sq"].mean())
        rounding = (30 * job.rounding) ** 2 * size
        if not columns["deviation_sq"].mean() <= max(rounding, PLAINLY**2 * float(columns["unrelated_sq"].mean())):
            return False
    return True


def _error(job: Job, references: Sequence[Reference], samples: Sequence[int], number: int) -> float | None:
    """The largest E of the outputs; None where one's samples are told apart by rounding only."""
    unmoved, moved = outputs_of(job, samples), outputs_of(job, samples, number=number)
    errors = []
    for reference in references:
        columns = _pairing(job, reference, samples, number, unmoved, moved)
        null = float(columns["unrelated_sq"].mean())
        size = float(squares(as_compared(unmoved, reference.task))["deviation_sq"].mean())
        # in float64 rounding stays far below what is exact; in float32 it may hide an E of 0.01, and no more
        if not null > ((1e4 if job.dtype == torch.float64 else 3e3) * job.rounding) ** 2 * size:
            return None
        errors.append(float(columns["deviation_sq"].mean() / null) ** 0.5)
    return max(errors)


def _pairing(
    job: Job, reference: Reference, samples: Sequence[int], number: int, unmoved: Outputs, moved: Outputs
) -> Columns:
    g = job.prepared.from_reference(job.prepared.elements.at(samples))[number : number + 1]
    name = reference.task.output
    reason = reference.action.check(tuple(unmoved[name].shape[1:]))
    if reason is not None:
        raise ModelError(Problem(job.model.name, f"output {name!r} cannot be moved: {reason}"))
    a, b, _ = reference.pair(g, moved[name][None], unmoved[name])
    return pairing(a[0], b[0], reference.comparison, samples)
