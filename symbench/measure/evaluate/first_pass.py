"""The first pass: every sample under its reference view, and what each output is taken for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.actions.base import SHARP, Action, TrivialAction
from symbench.algebra.fields import Category, Classes, Over
from symbench.base.errors import ConfigError, Interrupted, ModelError, Problem
from symbench.base.events import Advanced, Listener, Note
from symbench.base.slices import slices
from symbench.measure.evaluate.finite import Finite
from symbench.measure.evaluate.forward import naming, run_model
from symbench.measure.evaluate.job import Job, cropped, immovable, view_leaves
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rim import Rim
from symbench.measure.evaluate.room import with_memory
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.evaluate.sharing import shared_out
from symbench.measure.evaluate.stopwatch import Stopwatch
from symbench.measure.store import PART, written
from symbench.measure.tasks import Open, Task, fitting, pair, shaped

SOME = 64
"""Samples whose own elements are looked at to see whether any of them loses something."""


def reference_pass(
    job: Job, order: Sequence[int], scratch: Scratch, listen: Listener, stopped: Callable[[], bool]
) -> list[Reference]:
    """Run every sample as it is, part by part, and keep what deviations are measured from.

    Raises:
        Interrupted: asked to stop; finished parts are kept.
    """
    outputs, targets = job.model.outputs, job.dataset.targets
    found = _Seen(job, pair(outputs, targets, scale=job.scale, meant=job.meant, trained=job.trained))
    parts = {part.start: part for part in slices(len(order), PART)}
    finished = partial(scratch.has_reference, [each.output for each in found.outputs])

    def halt() -> None:
        if stopped():
            got, remedy = "stopped in the first pass", "The same command resumes."
            raise Interrupted(Problem(str(job.cell.pair), got, None, remedy))

    for first, done in shared_out(scratch, "reference", list(parts), finished, halt):
        if not done:
            with_memory(job, partial(_reference_part, job, found, order, parts[first], scratch))
        listen(Advanced(parts[first].stop - first))
    if not job.model.seen.ran:  # an earlier run did all of it
        run_model(job, view_leaves(job, order[:1])[0])
    references = [_reference(job, each, order, scratch) for each in found.outputs]
    for reference in references:
        if reference.remark is not None:
            listen(Note(f"{job.cell.pair.model}: {reference.remark}", warning=True))
    return references


@dataclass
class _Seen:
    """The outputs as they have been seen so far: the first batch says what each is, all others have to agree."""

    job: Job
    outputs: Sequence[Open]
    known: dict[str, tuple[tuple[int, ...], Task]] = field(default_factory=dict)

    def check(self, results: dict[str, Tensor], labels: dict[str, Tensor]) -> None:
        """Refuse what an output or its target, on the CPU, cannot be, and shapes that differ from batch to batch.

        Raises:
            ModelError: with the output, its shape and what to do.
        """
        for each in self.outputs:
            shape = tuple(results[each.output].shape[1:])
            if each.output not in self.known:
                self.known[each.output] = shape, task_of(self.job, each, shape)
            first, task = self.known[each.output]
            if shape != first:
                got = f"output {each.output!r} has shape {shaped(shape)}"
                raise ModelError(Problem(self.job.model.name, got, f"{shaped(first)} as in the batches before"))
            if task.target is not None:
                with fitting(self.job.model.name):
                    task.check_target(shape, labels[task.target], self.job.classes)


def task_of(job: Job, output: Open, shape: tuple[int, ...]) -> Task:
    """What an output of this shape is for.

    Raises:
        ModelError: it cannot be what it is taken for.
    """
    with fitting(job.model.name):
        found = output.of(shape)
    first = next(iter(job.model.outputs))
    return replace(found, key=job.model.seen.key) if found.output == first else found


def _reference_part(job: Job, found: _Seen, order: Sequence[int], part: slice, scratch: Scratch) -> None:
    kept: dict[str, list[Tensor]] = {each.output: [] for each in found.outputs}
    watch, finite = Stopwatch(job.device), Finite(job.model.name)
    for piece in slices(part.stop - part.start, job.batch):
        indices = order[part.start + piece.start : part.start + piece.stop]
        leaves, labels = view_leaves(job, indices)
        with naming(job, indices):
            results = run_model(job, leaves, watch, finite)
        found.check(results, {target: cropped(job, target, values) for target, values in labels.items()})
        for name, values in kept.items():
            values.append(results[name].double())
    finite.settle()
    for name, values in kept.items():
        with written(scratch.raw(name, part.start)) as temporary, temporary.open("wb") as file:
            np.save(file, torch.cat(values).cpu().numpy())
    scratch.keep_reference(list(kept), part.start, watch.taken)


def _reference(job: Job, output: Open, order: Sequence[int], scratch: Scratch) -> Reference:
    shape = tuple(np.load(scratch.raw(output.output, 0), mmap_mode="r").shape[1:])
    task = task_of(job, output, shape)
    action, target_action = _actions(job, task)
    if isinstance(task.field, Classes) and job.prepared.elements.moved_reference:
        got = f"output {task.output!r} has classes that permute, and the reference view is moved itself"
        raise ModelError(Problem(job.model.name, got, "reference: identity"))
    reason = immovable(job, action, shape, order[0])
    if reason is not None:
        got = f"output {task.output!r} of shape {shaped(shape)} cannot be moved as {task.field}: {reason}"
        raise ModelError(Problem(job.model.name, got, None, task.unmoved))
    comparison = job.comparison_of(task.field, shape)
    nothing, places = torch.zeros(shape), job.by_place(task, comparison)
    unmeasured = Reference(
        task, scratch, shape, nothing, 0.0, action, target_action, job.prepared, comparison, len(order), places
    )
    _refuse_losing(job, unmeasured, order)
    unmeasured = replace(unmeasured, **_on_grid(job, unmeasured))
    with fitting(job.model.name):
        task = task.settled(unmeasured.pieces(job.exact), job.rounding)
    taken = job.model.seen.remark if output.output == next(iter(job.model.outputs)) else None
    unmeasured = replace(unmeasured, task=task)
    total, square = torch.zeros(unmeasured.compared_shape, dtype=torch.float64, device=job.exact), 0.0
    counts = comparison.counts(order)
    for start, piece in zip(range(0, len(order), PART), unmeasured.pieces(job.exact), strict=True):
        values, samples = task.compared(piece), order[start : start + PART]
        weight = float(comparison.counts(samples).sum() / counts.sum())
        total += comparison.mean(values[None].double(), samples)[0] * weight
        square += comparison.square(values).sum().item()
    said = [each for each in (task.remark(taken), _strange(job, task, order), action.remark) if each is not None]
    remark = "; ".join(said) or None
    return replace(unmeasured, task=task, mean=total, square=square / len(order), remark=remark)


def _strange(job: Job, task: Task, order: Sequence[int]) -> str | None:
    """What the targets of some samples tell of an output that is none of them."""
    if task.target is None or type(task).strange is Task.strange:
        return None
    targets = view_leaves(job, order[:SOME])[1][task.target]
    return task.strange(targets, range(len(job.dataset.classes or ())))


def _refuse_losing(job: Job, known: Reference, order: Sequence[int]) -> None:
    """Refuse what is compared where it was before it moved, and is not whole there any more.

    Raises:
        ModelError: every sample has elements of its own, by which places or objects would be lost.
    """
    field, elements = known.task.field, job.prepared.elements
    on_grid, first = field.grid is not None, order[:SOME]
    if elements.shared is not None or (known.comparison.vectors and not on_grid):
        return
    if not set(known.action.kinds(elements.at(first).flatten(0, 1))) <= set(SHARP):
        got = (
            f"output {known.task.output!r} stands on a grid, and every sample's own elements lose other places of it"
            if on_grid
            else f"output {known.task.output!r} is of objects, and every sample's own elements lose other ones"
        )
        remedy = "Say draw: shared in the symmetry's entry" + (", or border: circular." if on_grid else ".")
        raise ModelError(Problem(job.model.name, got, "elements that all samples share", remedy))


def _on_grid(job: Job, known: Reference) -> dict[str, Any]:
    """What is known besides of an output on a grid."""
    field, task = known.task.field, known.task
    if field.grid is None:
        return {}
    found: dict[str, Any] = {"rim": Rim(field.grid_shape(known.shape))}
    if task.predicted(torch.zeros((1, *known.shape))) is not None:
        along = Over(Category(), field.places)
        named = job.prepared.action_on(Over(field.value, field.places) if task.renames else along)
        found["names"] = named.of_outputs()
        found["unrenamed"] = job.prepared.action_on(along) if task.renames else None
    return found


def _actions(job: Job, task: Task) -> tuple[Action, Action | None]:
    """How the group moves the output and the target."""
    try:
        target = None
        if task.target_field is not None:
            target = job.prepared.action_on(task.target_field, f"target {task.target}")
        # classes that permute are read in the order of the unmoved sample, where targets stay
        target = TrivialAction() if isinstance(task.field, Classes) else target
        return job.prepared.action_on(task.field, f"output {task.output}").of_outputs(), target
    except ConfigError as error:
        raise ModelError(Problem(job.model.name, f"output {task.output!r}: {error}", None, task.unmoved)) from error
