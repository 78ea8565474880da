"""Evaluations whose right answer is known: they give the floor below which a number means nothing.

``repeat``: the same samples again, which has to give the same. ``re-batch``: at another batch size and place.
``precision``: against the same weights in float64; what does not run in that is judged as it runs. The others have
files of their own beside this one. Each begins with few samples and goes on while its answer may still change, as far
as the cell's budget allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from symbench.algebra.controls import DECLARED, FIXED, LAW, LEAVES, ControlRow, suiting
from symbench.base.errors import CellError, ModelError, Problem
from symbench.base.events import Listener
from symbench.domains.common.handling import handling_of
from symbench.measure.evaluate.brought import facts_by
from symbench.measure.evaluate.budget import Budget, wider
from symbench.measure.evaluate.cost import operations_of
from symbench.measure.evaluate.declared import declared_action
from symbench.measure.evaluate.exactness import compare_precisions, exact_sizes
from symbench.measure.evaluate.examined import (
    CLEAR,
    Controls,
    Examined,
    NoBudget,
    check_alike,
    joined,
    relative_error,
)
from symbench.measure.evaluate.extent import extent_of
from symbench.measure.evaluate.fixed import fixed_points
from symbench.measure.evaluate.forward import running
from symbench.measure.evaluate.job import Job, briefly, sides
from symbench.measure.evaluate.law import group_law
from symbench.measure.evaluate.layers import measure_layers
from symbench.measure.evaluate.leaves import declared_leaves
from symbench.measure.evaluate.lie import lie_derivatives
from symbench.measure.evaluate.plans import planned
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.room import out_of_memory
from symbench.measure.evaluate.rows import Columns, Outputs, as_compared, distances, far, outputs_of, table
from symbench.measure.evaluate.split import split_by_reference
from symbench.measure.evaluate.stopwatch import Stopwatch

REPEATABLE = 1e-2
"""A model whose outputs for one input differ by more than this, in units of the null, is refused: there is nothing
to measure. Rounding on any device stays far below."""
UNSEEN = 1e-4
"""In the same units, a difference that hardly ever changes a prediction, so that few samples tell enough of it."""

EXPLAINING: Mapping[str, Callable[[Examined], str | None]] = {
    DECLARED: declared_action, FIXED: fixed_points, LEAVES: declared_leaves, LAW: group_law,
}  # fmt: skip
"""Controls that say what is wrong where the others find that something is, by name."""


def run_controls(job: Job, references: Sequence[Reference], order: Sequence[int], listen: Listener) -> Controls:
    """Run the controls on the first samples of the cell's order, as far as their budget goes.

    Raises:
        ModelError: the model is not repeatable, or depends on what else is in the batch.
    """
    cell = _examined(job, references, order, listen)
    for name, control in {"repeat": repeat, "re-batch": rebatch}.items():
        with cell.under_way(name):
            control(cell)
        cell.found.reasons[name] = None
    for name, attempt in _attempts(cell).items():
        _try(cell, name, attempt)
    return cell.found


def _examined(job: Job, references: Sequence[Reference], order: Sequence[int], listen: Listener) -> Examined:
    chosen = order[: job.controls.samples]
    wide = wider(job.device, job.rounding <= 2.0**-52)
    extent = extent_of(
        job.prepared, job.dataset.fields, chosen, wide=wide,
        outputs=len(references), layers=len(job.layers), side=_side(job, chosen[0]),
    )  # fmt: skip
    own = len(order) * len(job.prepared.elements)
    flops, said = (None, None) if job.controls.full else operations_of(job, order)
    flops = 0.0 if flops is None and said is None else flops  # everything was counted, and nothing multiplies
    shares = Budget.of(job.controls, own, job.device, flops).shares(planned(extent))
    return Examined(job, references, chosen, order, shares, listen, wide)


def _side(job: Job, sample: int) -> int | None:
    """Of the image that the model sees; None of anything else."""
    try:
        return sides(job, sample)[1] if handling_of(job.dataset.fields[job.prepared.on]).resizable else None
    except CellError:
        return None


def _attempts(cell: Examined) -> dict[str, Callable[[], str | None]]:
    """The controls after which a model is still measured, by name, in the order in which they are run."""
    brought = suiting(cell.job.dataset.fields).items()
    return {
        "precision": partial(precision, cell),
        "exactness": partial(compare_precisions, cell),
        "geometry": partial(exact_sizes, cell),
        "Lie derivative": partial(lie_derivatives, cell),
        "reference split": partial(split_by_reference, cell),
        "layers": partial(measure_layers, cell),
        **{name: partial(_of_model, cell, name, row) for name, row in brought},
        **{name: partial(_explained, cell, control) for name, control in EXPLAINING.items()},
    }


def _explained(cell: Examined, control: Callable[[Examined], str | None]) -> str | None:
    """Moves outputs and leaves by itself, so that actions that code brings may raise in it."""
    with running(cell.job):
        return control(cell)


def _try(cell: Examined, name: str, control: Callable[[], str | None]) -> None:
    """Run a control; what a model raises, such as on an image of another size, is the reason why there is none."""
    try:
        with cell.under_way(name):
            cell.found.reasons[name] = control()
    except NoBudget as short:
        cell.found.reasons[name] = cell.found.short[name] = str(short)
    except CellError as error:
        cell.found.reasons[name] = briefly(error)
    except torch.OutOfMemoryError as error:
        cell.found.reasons[name] = briefly(out_of_memory(cell.job.name, error))


def repeat(cell: Examined) -> None:
    """Rows ``repeat``: the first batch again. A part of a large one is in other company: if that changes its outputs,
    it is run twice.
    """
    before: Outputs = {}
    again: Outputs = {}
    rows: list[Columns] = []
    watch = Stopwatch(cell.job.device)
    for size in cell.sizes("repeat"):
        some = slice(len(rows[0]["sample"]) if rows else 0, size.samples)
        known = {name: values[some] for name, values in cell.raw.items()}
        found = outputs_of(cell.job, cell.chosen[some], watch=watch)
        if not cell.batched_alike(some) and any(
            not torch.equal(known[name], x.to(known[name])) for name, x in found.items()
        ):
            known, found = found, outputs_of(cell.job, cell.chosen[some], watch=watch)
        before, again = joined(before, known), joined(again, found)
        rows = _rows(cell, "repeat", before, again)
        if _clear(cell, rows):
            break
    else:
        cell.unclear("repeat", size)
    cell.found.taken = watch.taken
    cell.found.tables += rows


def rebatch(cell: Examined) -> None:
    """Rows ``re-batch``: the same samples from last to first, in batches of another size."""
    again: Outputs = {}
    rows: list[Columns] = []
    for size in cell.sizes("re-batch"):
        more = cell.chosen[len(rows[0]["sample"]) if rows else 0 : size.samples]
        run = partial(outputs_of, cell.job, more[::-1], batch=max(1, min(cell.job.batch, len(more)) * 2 // 3))
        outputs = run()
        again = joined(again, {name: values.flip(0) for name, values in outputs.items()})
        try:
            rows = _rows(cell, "re-batch", cell.raw, again)
        except ModelError:
            # what differs from one pass of the very same batches to the next is not to be blamed on batches
            if any(not torch.equal(outputs[name], values) for name, values in run().items()):
                _rows(cell, "repeat", cell.raw, again)
            raise
        if _clear(cell, rows):
            break
    else:
        cell.unclear("re-batch", size)
    cell.found.tables += rows


def _rows(cell: Examined, control: str, before: Outputs, again: Outputs) -> list[Columns]:
    """Rows of what a model gave again for the first control samples, for each output.

    Raises:
        ModelError: it is plainly something else.
    """
    rows = []
    for reference, null in zip(cell.references, cell.nulls, strict=True):
        check_alike(reference.task.output, before[reference.task.output], again[reference.task.output])
        new = as_compared(again, reference.task)
        old = as_compared(before, reference.task)[: len(new)]
        columns = distances(old, new, reference.task, reference.comparison)
        _refuse_if_different(cell.job, control, reference, old, new, null)
        rows.append(table(control, reference.task.output, cell.chosen[: len(new)], 0, columns))
    return rows


def _clear(cell: Examined, rows: Sequence[Columns], unseen: float | None = UNSEEN) -> bool:
    """Whether more samples would hardly change what the floor comes to, nor find predictions that change."""
    for each, null in zip(rows, cell.nulls, strict=True):
        found = each["deviation_sq"]
        few = unseen is None or bool(found.mean() <= unseen**2 * null)
        if found.any() and not (few and relative_error(found) <= CLEAR):
            return False
    return True


def precision(cell: Examined) -> str | None:
    """Rows ``precision``: the same in float64; the reason where the model does not run in that."""
    sizes = cell.sizes("precision")
    exact, reason = cell.doubled
    if exact is None:
        return reason
    rows: list[Columns] = []
    for size in sizes:
        samples = cell.chosen[: size.samples]
        try:
            outputs = cell.unmoved(exact, len(samples))
        except CellError as error:
            cell.give_up_float64(f"the model does not run in float64: {briefly(error)}")
            return cell.doubled[1]
        rows = []
        for reference, values in zip(cell.references, cell.first, strict=True):
            wide = as_compared(outputs, reference.task).to(cell.job.exact)
            columns = distances(values[: len(samples)], wide, reference.task, reference.comparison)
            rows.append(table("precision", reference.task.output, samples, 0, columns))
        if _clear(cell, rows, unseen=None):
            break
    else:
        cell.unclear("precision", size)
    cell.found.tables += rows
    return None


def _of_model(cell: Examined, name: str, row: ControlRow) -> None:
    cell.sizes(name)
    cell.found.facts |= facts_by(row, name, cell.job, cell.best)


def _refuse_if_different(
    job: Job, control: str, reference: Reference, values: Tensor, again: Tensor, null: float
) -> None:
    difference = float(far(values, again, reference.comparison).mean())
    size = float(reference.comparison.square(values).mean())
    # a model with almost constant outputs has no null to speak of: then the outputs' own size is the measure
    unit = max(null, (100 * job.rounding) ** 2 * size)
    if difference <= REPEATABLE**2 * unit or difference == 0:
        return
    share = (difference / unit) ** 0.5 if unit else float("inf")
    what = f"output {reference.task.output!r}"
    got, remedy = {
        "repeat": (f"{what} is another for the same input", "Is dropout active, or random state kept?"),
        "re-batch": (
            f"{what} of a sample depends on its batch",
            "Is a BatchNorm in train mode, or does the model pad to the batch?",
        ),
    }[control]
    got += f" (by {share:.1e} of the distance between samples)"
    raise ModelError(Problem(job.model.name, got, "equal outputs up to rounding", remedy))
