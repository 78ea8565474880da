"""The reference pass, mostly the identity: what every deviation is measured from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from symbench.actions.base import Action, TrivialAction
from symbench.assemble import Prepared
from symbench.errors import ConfigError, Interrupted, ModelError, Problem
from symbench.evaluate.job import Job, immovable, pieces, run_model, view_leaves
from symbench.evaluate.scratch import Scratch
from symbench.evaluate.stopwatch import Stopwatch
from symbench.events import Advanced, Listener
from symbench.measure import Task, compared, tasks
from symbench.store import PART, written


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
    """

    task: Task
    scratch: Scratch
    shape: tuple[int, ...]
    mean: Tensor
    square: float
    action: Action
    target_action: Action | None
    prepared: Prepared

    @property
    def in_place(self) -> bool:
        """Whether outputs are compared where the unmoved ones are: they do not move, or are moved back."""
        return isinstance(self.action, TrivialAction) or self.prepared.elements.shared is None

    def pair(self, g: Tensor, output: Tensor, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is compared with what: ``f(g.x)`` with ``g.f(x)``.

        Where every sample has elements of its own, ``g^-1.f(g.x)`` with ``f(x)``: the same where the action on
        outputs only permutes, and then other samples' outputs are comparable too.

        Args:
            g: what takes the reference view to the views, ``(k, ...)`` or ``(k, n, ...)``.
            output: ``f`` of the views, ``(k, n, *output)``.
            raw: ``f`` of the reference view, ``(n, *output)``.

        Returns:
            Both as :func:`~symbench.measure.compared`, ``(k, n, *output)``, and the latter's mean over all samples,
            ``(k, *output)``.
        """
        moved, still = compared(output, self.task), compared(raw, self.task)
        mean = self.mean.to(output.device)
        if not self.in_place:
            return moved, self.action.act(g, still), self.action.act(g, mean[None])[:, 0]
        if not isinstance(self.action, TrivialAction):
            back = self.prepared.group.inverse(g.flatten(0, 1))[None]
            moved = self.action.act(back, moved.flatten(0, 1))[0].unflatten(0, moved.shape[:2])
        return moved, still.expand_as(moved), mean.expand(len(g), *mean.shape)

    def rows(self, first: int, last: int, device: str) -> Tensor:
        """Outputs of the samples ``first`` to ``last`` of the order, all of one part; float64 on the device."""
        start = first // PART * PART
        mapped = np.load(self.scratch.raw(self.task.output, start), mmap_mode="r")
        return torch.from_numpy(np.array(mapped[first - start : last - start])).to(device)


def reference_pass(
    job: Job, order: Sequence[int], scratch: Scratch, listen: Listener, stopped: Callable[[], bool]
) -> list[Reference]:
    """Run every sample as it is, part by part, and keep what deviations are measured from.

    Raises:
        Interrupted: asked to stop; finished parts are kept.
    """
    found = tasks(dict(job.model.outputs), dict(job.dataset.targets), probabilities=job.probabilities)
    shapes: dict[str, tuple[int, ...]] = {}
    for part in pieces(len(order), PART):
        if not scratch.has_reference([task.output for task in found], part.start):
            if stopped():
                raise Interrupted(
                    Problem(str(job.cell.pair), "stopped in the first pass", None, "The same command resumes.")
                )
            _reference_part(job, found, order, part, scratch, shapes)
        listen(Advanced(part.stop - part.start))
    return [_reference(job, task, len(order), scratch, order[0]) for task in found]


def _reference_part(
    job: Job,
    found: Sequence[Task],
    order: Sequence[int],
    part: slice,
    scratch: Scratch,
    shapes: dict[str, tuple[int, ...]],
) -> None:
    kept: dict[str, list[np.ndarray]] = {task.output: [] for task in found}
    watch = Stopwatch(job.device)
    for piece in pieces(part.stop - part.start, job.batch):
        indices = order[part.start + piece.start : part.start + piece.stop]
        leaves, labels = view_leaves(job, indices)
        results = run_model(job, leaves, watch)
        for task in found:
            output = results[task.output]
            check_output(job, task, output, labels, shapes)
            kept[task.output].append(output.double().cpu().numpy())
    for task in found:
        with written(scratch.raw(task.output, part.start)) as temporary, temporary.open("wb") as file:
            np.save(file, np.concatenate(kept[task.output]))
    scratch.keep_reference([task.output for task in found], part.start, watch.taken)


def _reference(job: Job, task: Task, count: int, scratch: Scratch, first: int) -> Reference:
    shape = tuple(np.load(scratch.raw(task.output, 0), mmap_mode="r").shape[1:])
    try:
        action = job.prepared.action_on(task.field)
        target_action = job.prepared.action_on(task.target_field) if task.target_field is not None else None
    except ConfigError as error:
        raise ModelError(
            Problem(job.model.name, f"output {task.output!r}: {error}", None, "Declare another field for it.")
        ) from error
    reason = immovable(job, action, shape, first)
    if reason is not None:
        got = f"output {task.output!r} cannot be moved: {reason}"
        raise ModelError(Problem(job.model.name, got, f"an output that is {task.field}"))
    unmeasured = Reference(task, scratch, shape, torch.zeros(shape), 0.0, action, target_action, job.prepared)
    total, square = torch.zeros(shape, dtype=torch.float64), 0.0
    for piece in pieces(count, PART):
        values = compared(unmeasured.rows(piece.start, piece.stop, "cpu"), task)
        total += values.sum(0)
        square += values.square().sum().item()
    return replace(unmeasured, mean=total / count, square=square / count)


def _too_few(job: Job, output: Tensor, target: Tensor) -> str:
    """What is said of labels that a model has no output for: the first of them, by name where they have one."""
    beyond = target[target >= output.shape[1]].unique().tolist()[:3]
    names = job.dataset.classes or []
    shown = ", ".join(f"{label} ({names[label]})" if label < len(names) else str(label) for label in beyond)
    return f"has {output.shape[1]} outputs and a label is {shown}"


def check_output(
    job: Job, task: Task, output: Tensor, labels: dict[str, Tensor], shapes: dict[str, tuple[int, ...]]
) -> None:
    """Refuse class scores that are no ``(n, classes)`` or too few, outputs unlike their target or one another."""
    got = f"output {task.output!r} has shape {tuple(output.shape)}"
    if task.classify and output.ndim != 2:
        raise ModelError(Problem(job.model.name, got, "class scores (n, classes)"))
    first = shapes.setdefault(task.output, tuple(output.shape[1:]))
    if tuple(output.shape[1:]) != first:
        raise ModelError(Problem(job.model.name, got, f"(n, {', '.join(map(str, first))}) as in the batches before"))
    if task.target is None:
        return
    target = labels[task.target]
    if task.classify and int(target.max()) >= output.shape[1]:
        raise ModelError(Problem(job.model.name, _too_few(job, output, target), "as many outputs as classes"))
    if not task.classify and output.shape != target.shape:
        raise ModelError(Problem(job.model.name, got, f"the target's, {tuple(target.shape)}"))
