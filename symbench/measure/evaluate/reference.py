"""The reference pass, mostly the identity: what every deviation is measured from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, TrivialAction
from symbench.algebra.comparison import Comparison
from symbench.algebra.fields import Classes
from symbench.base.environment import sent
from symbench.base.errors import ConfigError, Interrupted, ModelError, Problem
from symbench.base.events import Advanced, Listener, Note
from symbench.base.slices import slices
from symbench.measure.assemble import Prepared
from symbench.measure.evaluate.by_place import ByPlace
from symbench.measure.evaluate.finite import Finite
from symbench.measure.evaluate.forward import naming, run_model
from symbench.measure.evaluate.job import Job, immovable, view_leaves
from symbench.measure.evaluate.moves import Bound
from symbench.measure.evaluate.room import with_memory
from symbench.measure.evaluate.scratch import Scratch
from symbench.measure.evaluate.sharing import shared_out
from symbench.measure.evaluate.stopwatch import Stopwatch
from symbench.measure.store import PART, written
from symbench.measure.tasks import Open, Task, directions, fitting, pair, shaped

MOST_OTHERS = 4096
"""Unmoved samples among which moved embeddings look for their own. More make recall at 1 lower, so records say how
many there were."""


@dataclass(frozen=True)
class Reference:
    """What the identity pass found, for one output.

    Attributes:
        task: output and target.
        scratch: holds the outputs, part by part.
        shape: of one output.
        mean: of what is compared, over samples, ``(*output,)``.
        square: its mean squared length.
        action: how the group moves the output.
        target_action: how it moves the target.
        prepared: the symmetry.
        comparison: with the outputs of other samples.
        count: samples in the cell.
        by_place: its places, where it has some or grows with some.
        remark: what is to be told of how the output was taken, if it was not declared.
    """

    task: Task
    scratch: Scratch
    shape: tuple[int, ...]
    mean: Tensor
    square: float
    action: Action
    target_action: Action | None
    prepared: Prepared
    comparison: Comparison
    count: int
    by_place: ByPlace | None = None
    remark: str | None = None

    @property
    def in_place(self) -> bool:
        """Whether outputs are compared where the unmoved ones are: they do not move, or are moved back."""
        return isinstance(self.action, TrivialAction) or self.prepared.elements.shared is None

    def pair(
        self, g: Tensor, output: Tensor, raw: Tensor, place: slice | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is compared with what: ``f(g.x)`` with ``g.f(x)``.

        Where every sample has elements of its own, ``g^-1.f(g.x)`` with ``f(x)``: the same where the action on
        outputs only permutes, and then other samples' outputs are comparable too.

        Args:
            g: what takes the reference view to the views, ``(k, ...)`` or ``(k, n, ...)``.
            output: ``f`` of the views, ``(k, n, *output)``.
            raw: ``f`` of the reference view, ``(n, *output)``.
            place: the elements' numbers in the cell, where they are some of its own.

        Returns:
            Both as :meth:`~symbench.measure.tasks.Task.compared`, ``(k, n, *output)``, and the latter's mean over all
            samples, ``(k, *output)``.
        """
        moved, unmoved = self.task.compared(output), self.task.compared(raw)
        mean = self.mean.to(output.device)
        if not self.in_place:
            move = self.action.bind(g, unmoved) if place is None else self._bound.to(g, place, unmoved)
            return moved, move(unmoved), move(mean[None])[:, 0]
        if not isinstance(self.action, TrivialAction):
            moved = self.moved_back(g, moved)
        return moved, unmoved.expand_as(moved), mean.expand(len(g), *mean.shape)

    def in_own_order(self, g: Tensor, output: Tensor) -> Tensor:
        """Class scores in the order that classes have for the sample as it is; anything else as it is.

        Classes that permute are so right, and the same as before, where those that no group moves would be.

        Args:
            g: the elements, ``(k, ...)`` or ``(k, n, ...)``.
            output: ``f`` of the views, ``(k, n, *output)``.
        """
        if not isinstance(self.task.field, Classes):
            return output
        return self.moved_back(g, output)

    def moved_back(self, g: Tensor, values: Tensor) -> Tensor:
        """``g^-1`` of each value.

        Args:
            g: the elements, ``(k, ...)`` or ``(k, n, ...)``.
            values: ``(k, n, *output)``.
        """
        group = self.prepared.group
        each = g.repeat_interleave(values.shape[1], 0) if g.ndim == 1 + group.element_ndim else g.flatten(0, 1)
        return self.action.act(group.inverse(each)[None], values.flatten(0, 1))[0].unflatten(0, values.shape[:2])

    def moved_target(self, g: Tensor, target: Tensor) -> Tensor | None:
        """The classes of moved samples, ``(k, n)``, where the group permutes them; None where they stay.

        Args:
            g: the elements, ``(k, ...)`` or ``(k, n, ...)``.
            target: classes of the samples as they are, ``(n,)``.
        """
        return self.action.act(g, target) if isinstance(self.task.field, Classes) else None

    def rows(self, first: int, last: int, device: str) -> Tensor:
        """Outputs of the samples ``first`` to ``last`` of the order, all of one part; float64 on the device."""
        start = first // PART * PART
        mapped = np.load(self.scratch.raw(self.task.output, start), mmap_mode="r")
        return sent(torch.from_numpy(np.array(mapped[first - start : last - start])), device)

    def pieces(self, device: str, count: int | None = None) -> Iterator[Tensor]:
        """The outputs of all samples, or of the first of them, part by part."""
        for piece in slices(self.count if count is None else min(count, self.count), PART):
            yield self.rows(piece.start, piece.stop, device)

    def around(self, first: int, last: int, device: str) -> tuple[Tensor, Tensor]:
        """Outputs of the sample before, and of that behind, each from ``first`` to ``last`` of the order.

        All of one part; the first sample of the cell is behind the last one.
        """
        before, behind = (self.rows(i % self.count, i % self.count + 1, device) for i in (first - 1, last))
        own = self.rows(first, last, device)
        return torch.cat([before, own[:-1]]), torch.cat([own[1:], behind])

    @cached_property
    def _bound(self) -> Bound:
        return Bound(self.action, self.prepared)

    def others(self, device: torch.device | str) -> Tensor:
        """The directions of embeddings among which moved samples look for their own: those of the first samples."""
        if str(device) not in self._others:
            pieces = self.pieces(str(device), MOST_OTHERS)
            self._others[str(device)] = torch.cat([directions(values) for values in pieces])
        return self._others[str(device)]

    @cached_property
    def _others(self) -> dict[str, Tensor]:
        return {}


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
        found.check(results, labels)
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
        raise ModelError(Problem(job.model.name, got, None, _unmoved(task)))
    comparison = job.comparison_of(task.field, shape)
    nothing, places = torch.zeros(shape), job.by_place(task, comparison)
    unmeasured = Reference(
        task, scratch, shape, nothing, 0.0, action, target_action, job.prepared, comparison, len(order), places
    )
    with fitting(job.model.name):
        task = task.settled(unmeasured.pieces(job.exact), job.rounding)
    taken = job.model.seen.remark if output.output == next(iter(job.model.outputs)) else None
    total, square = torch.zeros(shape, dtype=torch.float64, device=job.exact), 0.0
    counts = comparison.counts(order)
    for start, piece in zip(range(0, len(order), PART), unmeasured.pieces(job.exact), strict=True):
        values, samples = task.compared(piece), order[start : start + PART]
        weight = float(comparison.counts(samples).sum() / counts.sum())
        total += comparison.mean(values[None].double(), samples)[0] * weight
        square += comparison.square(values).sum().item()
    remark = task.remark(taken)
    return replace(unmeasured, task=task, mean=total, square=square / len(order), remark=remark)


def _actions(job: Job, task: Task) -> tuple[Action, Action | None]:
    """How the group moves the output and the target."""
    try:
        target = None
        if task.target_field is not None:
            target = job.prepared.action_on(task.target_field, f"target {task.target}")
        # classes that permute are read in the order of the unmoved sample, where targets stay
        target = TrivialAction() if isinstance(task.field, Classes) else target
        return job.prepared.action_on(task.field, f"output {task.output}"), target
    except ConfigError as error:
        raise ModelError(Problem(job.model.name, f"output {task.output!r}: {error}", None, _unmoved(task))) from error


def _unmoved(task: Task) -> str:
    return f"Say {task.declaration('scalar')} in the model's entry if no group moves it."
