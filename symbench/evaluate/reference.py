"""The identity pass: what every deviation is measured from."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from symbench.actions.base import Action
from symbench.environment import synchronise
from symbench.errors import ModelError, Problem
from symbench.evaluate.job import Job, load_leaves, pieces, run_model
from symbench.evaluate.scratch import Growing, Scratch
from symbench.events import Advanced, Listener
from symbench.measure import Task, compared, tasks
from symbench.store import PART


@dataclass(frozen=True)
class Reference:
    """What the identity pass found, for one output.

    Attributes:
        task: output and target.
        raw: the model's outputs, ``(n, *output)`` float64, mapped from the scratch file.
        mean: of what is compared, over samples, ``(*output,)``.
        square: its mean squared length.
        action: how the group moves the output.
        target_action: how it moves the target.
    """

    task: Task
    raw: np.ndarray
    mean: Tensor
    square: float
    action: Action
    target_action: Action | None

    def rows(self, first: int, last: int, device: str) -> Tensor:
        """Some samples' outputs, on the device."""
        return torch.from_numpy(np.array(self.raw[first:last])).to(device)


def reference_pass(job: Job, order: Sequence[int], scratch: Scratch, listen: Listener) -> list[Reference]:
    """Run every sample untransformed, and keep what deviations are measured from."""
    found = tasks(dict(job.model.outputs), dict(job.dataset.targets), probabilities=job.probabilities)
    if scratch.facts.is_file():
        listen(Advanced(len(order)))
    else:
        outputs = {task.output: Growing(scratch.raw(task.output), len(order)) for task in found}
        seconds: list[float] = []
        for piece in pieces(len(order), job.batch):
            leaves, labels = load_leaves(job, order[piece])
            check_labels(job, found, labels)
            synchronise(job.device)
            start = time.perf_counter()
            results = run_model(job, leaves)
            synchronise(job.device)
            seconds.append((time.perf_counter() - start) / len(order[piece]))
            for task in found:
                check_output(job, task, results[task.output], labels)
                outputs[task.output].put(piece, results[task.output])
            listen(Advanced(len(order[piece])))
        for task in found:
            outputs[task.output].close()
        # the first pass warms up: leave it out where there are others
        scratch.save(scratch.facts, seconds=np.array(statistics.median(seconds[1:] or seconds)))
    return [_reference(job, task, scratch) for task in found]


def _reference(job: Job, task: Task, scratch: Scratch) -> Reference:
    raw = np.load(scratch.raw(task.output), mmap_mode="r")
    shape = tuple(raw.shape[1:])
    action = job.prepared.action_on(task.field)
    reason = action.check(shape)
    if reason is not None:
        raise ModelError(
            Problem(
                job.model.name,
                f"output {task.output!r} cannot be moved: {reason}",
                f"an output that is {task.field}",
            )
        )
    target_action = job.prepared.action_on(task.target_field) if task.target_field is not None else None
    total, square = torch.zeros(shape, dtype=torch.float64), 0.0
    for piece in pieces(len(raw), PART):
        values = compared(torch.from_numpy(np.array(raw[piece])), task)
        total += values.sum(0)
        square += values.square().sum().item()
    return Reference(task, raw, total / len(raw), square / len(raw), action, target_action)


def check_output(job: Job, task: Task, output: Tensor, labels: dict[str, Tensor]) -> None:
    """Refuse class scores that are no ``(n, classes)`` or too few for the labels, and outputs unlike their target."""
    if task.classify and output.ndim != 2:
        raise ModelError(
            Problem(
                job.model.name,
                f"output {task.output!r} has shape {tuple(output.shape)}",
                "class scores (n, classes)",
            )
        )
    if task.target is None:
        return
    target = labels[task.target]
    if task.classify and int(target.max()) >= output.shape[1]:
        raise ModelError(
            Problem(
                job.model.name,
                f"has {output.shape[1]} outputs and a label is {int(target.max())}",
                "as many outputs as classes",
            )
        )
    if not task.classify and output.shape != target.shape:
        raise ModelError(
            Problem(
                job.model.name,
                f"output {task.output!r} has shape {tuple(output.shape[1:])}",
                f"the target's, {tuple(target.shape[1:])}",
            )
        )


def check_labels(job: Job, found: Sequence[Task], labels: dict[str, Tensor]) -> None:
    """Refuse targets that are not finite."""
    for task in found:
        if task.target is not None and not torch.isfinite(labels[task.target].double()).all():
            raise ModelError(Problem(job.model.name, f"target {task.target!r} is NaN or infinite", "finite numbers"))
