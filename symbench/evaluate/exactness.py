"""Exact or broken, and whether the size of the image is to blame.

What E is made of on some permutation elements, in the suite's dtype and in float64: an exact model's error falls by
eight orders of magnitude, a broken one's does not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from symbench.code import foreign
from symbench.errors import CellError, DataError, ModelError, Problem
from symbench.evaluate.job import Job, kinds, sides
from symbench.evaluate.reference import Reference
from symbench.evaluate.rows import Columns, Outputs, as_compared, outputs_of, pairing, spread, squares, table
from symbench.fields import Image

MOST_ELEMENTS, MOST_SAMPLES = 8, 64
"""Permutation elements and samples on which E is compared in two precisions: enough to tell 1e-7 from 1e-16."""
EXACT = 1e-10
"""E in float64 below which a model is exact."""
SIZES = 6
"""Samples on which other sizes are tried."""


def compare_precisions(
    job: Job, exact: Job, listed: Sequence[Reference], chosen: Sequence[int], tables: list[Columns]
) -> str | None:
    """Rows ``suite dtype`` and ``float64`` of some permutation elements; the reason where there are none."""
    samples = chosen[:MOST_SAMPLES]
    numbers = _permutations(job, samples)
    if not numbers:
        return "there are no permutation elements"
    if len(samples) < 2:
        return "a single sample has no others"
    for control, each in (("suite dtype", job), ("float64", exact)):
        still = outputs_of(each, samples)
        for number in spread(numbers, MOST_ELEMENTS):
            moved = outputs_of(each, samples, number=number)
            for reference in listed:
                columns = _pairing(each, reference, samples, number, still, moved)
                tables.append(table(control, reference.task.output, samples, number, columns))
    return None


def exact_sizes(
    job: Job, exact: Job, listed: Sequence[Reference], chosen: Sequence[int], sizes: dict[int, float]
) -> str | None:
    """E in float64 at the measured size and, where that is not exact, at sizes around it.

    An even side under a stride of 2 breaks quarter turns whatever the weights are: the sampling grid is not symmetric
    about the centre. So a model that is exact at other sizes is broken by geometry. Sizes that the model does not
    take, or at which it is plainly not exact, are left out.
    """
    samples, field = chosen[:SIZES], job.dataset.fields[job.prepared.on]
    numbers = _permutations(job, samples)
    if not isinstance(field, Image) or not numbers or len(samples) < 2:
        return "needs permutations of images, and two samples"
    canvas, side = sides(exact, samples[0])
    errors = {number: _error(exact, listed, samples, number) for number in spread(numbers, MOST_ELEMENTS)}
    known = {number: error for number, error in errors.items() if error is not None}
    if not known:
        return "samples' outputs differ by rounding only"
    worst = max(known, key=lambda number: known[number])
    sizes[side] = known[worst]
    if sizes[side] <= EXACT:
        return None
    for size in nearby(side):
        resized = replace(exact, canvas=size + canvas - side)
        try:
            with foreign(DataError, job.cell.pair.dataset, "bringing images to another size"):
                shapes = job.dataset.shapes(canvas=resized.canvas)
            if any(action.check(shapes[leaf]) is not None for leaf, action in job.prepared.actions.items()):
                continue
            # the suite's dtype on three samples rules most sizes out, at a fraction of the cost
            if not _may_be_exact(replace(job, canvas=resized.canvas), listed, samples[:3], worst):
                continue
            error = _error(resized, listed, samples, worst)
        except CellError:
            continue
        if error is not None:
            sizes[size] = error
    return None if len(sizes) > 1 else "no other size that the model takes is exact"


def nearby(side: int) -> list[int]:
    """Sizes around ``side`` at which strides of powers of two meet both edges alike: 4 either way, and ``m 2^j + 1``
    and ``m 2^j`` next to it."""
    found = set(range(side - 4, side + 5))
    for power in (8, 16, 32):
        below = side // power * power
        found |= {below, below + 1, below + power, below + power + 1}
    return sorted(size for size in found if size > 4 and size != side)


def _permutations(job: Job, samples: Sequence[int]) -> list[int]:
    return [number for number, kind in enumerate(kinds(job, samples)) if kind == "permutation" and number > 0]


def _may_be_exact(job: Job, listed: Sequence[Reference], samples: Sequence[int], number: int) -> bool:
    """Whether outputs deviate by no more than rounding in the suite's dtype would."""
    still, moved = outputs_of(job, samples), outputs_of(job, samples, number=number)
    for reference in listed:
        columns = _pairing(job, reference, samples, number, still, moved)
        deviation, null = float(columns["deviation_sq"].mean()), float(columns["unrelated_sq"].mean())
        size = float(squares(as_compared(still, reference.task))["deviation_sq"].mean())
        if not deviation <= min((1e3 * torch.finfo(job.dtype).eps) ** 2 * size, 1e-6 * null):
            return False
    return True


def _error(job: Job, listed: Sequence[Reference], samples: Sequence[int], number: int) -> float | None:
    """The largest E of the outputs; None where one's samples are told apart by rounding only."""
    still, moved = outputs_of(job, samples), outputs_of(job, samples, number=number)
    errors = []
    for reference in listed:
        columns = _pairing(job, reference, samples, number, still, moved)
        null = float(columns["unrelated_sq"].mean())
        size = float(squares(as_compared(still, reference.task))["deviation_sq"].mean())
        if not null > (1e4 * torch.finfo(job.dtype).eps) ** 2 * size:
            return None
        errors.append(float(columns["deviation_sq"].mean() / null) ** 0.5)
    return max(errors)


def _pairing(
    job: Job, reference: Reference, samples: Sequence[int], number: int, still: Outputs, moved: Outputs
) -> Columns:
    g = job.prepared.from_reference(job.prepared.elements.at(samples))[number : number + 1]
    name = reference.task.output
    reason = reference.action.check(tuple(still[name].shape[1:]))
    if reason is not None:
        raise ModelError(Problem(job.model.name, f"output {name!r} cannot be moved: {reason}"))
    a, b, _ = reference.pair(g, moved[name][None], still[name])
    return pairing(a[0], b[0])
