"""Outputs of chosen samples under chosen moves, and the rows that controls make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.comparison import Comparison, squared_distances
from symbench.base.columns import OBSERVATIONS
from symbench.base.errors import ModelError, Problem
from symbench.base.slices import slices
from symbench.measure.evaluate.forward import naming, run_model
from symbench.measure.evaluate.job import Job, load_leaves, view
from symbench.measure.evaluate.room import with_memory
from symbench.measure.evaluate.stopwatch import Stopwatch
from symbench.measure.tasks import Task

Outputs = dict[str, Tensor]
Leaves = dict[str, Tensor]
Columns = dict[str, np.ndarray]


def outputs_of(
    job: Job,
    samples: Sequence[int],
    *,
    batch: int | None = None,
    number: int = 0,
    change: Callable[[Leaves, Sequence[int]], Leaves] | None = None,
    loaded: Leaves | None = None,
    watch: Stopwatch | None = None,
) -> Outputs:
    """Outputs for samples, ``(n, *output)`` each.

    Args:
        job: the model, the data and the symmetry.
        samples: which.
        batch: images in one forward pass; the job's where it is None.
        number: the view that is shown to the model; 0 is the reference view.
        change: what else is done to the leaves of some samples.
        loaded: the samples' leaves, where they have been loaded already.
        watch: times the module's own work.

    Raises:
        ModelError: batches come back in different shapes.
    """
    return with_memory(job, lambda: _gathered(job, samples, batch, number, change, loaded, watch))


def _gathered(
    job: Job,
    samples: Sequence[int],
    batch: int | None,
    number: int,
    change: Callable[[Leaves, Sequence[int]], Leaves] | None,
    loaded: Leaves | None,
    watch: Stopwatch | None,
) -> Outputs:
    kept: dict[str, list[Tensor]] = {}
    for piece in slices(len(samples), min(batch or job.batch, job.batch)):
        some = samples[piece]
        leaves = load_leaves(job, some)[0] if loaded is None else {name: x[piece] for name, x in loaded.items()}
        leaves = view(job, leaves, some, number)
        with naming(job, some):
            outputs = run_model(job, leaves if change is None else change(leaves, some), watch)
        for name, value in outputs.items():
            found = kept.setdefault(name, [])
            if found and found[0].shape[1:] != value.shape[1:]:
                shapes = f"{tuple(found[0].shape[1:])} and {tuple(value.shape[1:])}"
                raise ModelError(Problem(job.model.name, f"output {name!r} has shapes {shapes}", "one shape"))
            found.append(value)
    return {name: torch.cat(values) for name, values in kept.items()}


def pairing(moved: Tensor, expected: Tensor, comparison: Comparison, samples: Sequence[int]) -> Columns:
    """What E is made of, for one element: ``deviation_sq`` and ``unrelated_sq``, ``(n,)`` each.

    Args:
        moved: ``f(g.x)``, ``(n, *output)``, as compared.
        expected: ``g.f(x)``, likewise.
        comparison: of these outputs with those of other samples.
        samples: whose they are.
    """
    a, b = moved.double()[None], expected.double()[None]
    found = {"deviation_sq": comparison.deviation(a, b, samples), "unrelated_sq": comparison.among(a, b, samples)}
    return {name: values[0].cpu().numpy() for name, values in found.items()}


def distances(values: Tensor, again: Tensor, task: Task, comparison: Comparison) -> Columns:
    """How far outputs ``(n, *output)`` are from others for the same samples, and what classes they predict."""
    columns = {name: column.cpu().numpy() for name, column in task.read(again, values).items()}
    return {"deviation_sq": far(values, again, comparison).cpu().numpy(), **columns}


def far(values: Tensor, again: Tensor, comparison: Comparison) -> Tensor:
    """How far outputs ``(n, *output)`` are from others for the same samples, padding and all, squared, ``(n,)``."""
    if comparison.vectors:
        return squared_distances(again[None], values[None])[0]
    return comparison.deviation(again[None], values[None], range(len(values)))[0]


def squares(difference: Tensor) -> Columns:
    """Squared lengths of ``(n, *output)``."""
    return {"deviation_sq": difference.double().reshape(len(difference), -1).square().sum(1).cpu().numpy()}


def table(control: str, output: str, samples: Sequence[int], element: int, columns: Columns) -> Columns:
    """Columns of observations, with null for what is not there."""
    count = len(samples)
    found: Columns = {
        **{name: one_each(values) for name, values in columns.items()},
        "control": np.full(count, control, dtype=object),
        "output": np.full(count, output, dtype=object),
        "sample": np.array(samples),
        "element": np.full(count, element),
        "valid": np.ones(count, dtype=bool),
    }
    return {name: found.get(name, np.full(count, None, dtype=object)) for name in OBSERVATIONS.names}


def one_each(values: np.ndarray) -> np.ndarray:
    """One thing for each row: numbers as they are, of ``(n, labels)`` an array of n arrays, as lists are written."""
    if values.ndim == 1:
        return values
    rows = np.empty(len(values), dtype=object)
    rows[:] = list(values)
    return rows


def spread(numbers: Sequence[int], most: int) -> list[int]:
    """At most ``most`` of the numbers, evenly from the middle of equal stretches."""
    if len(numbers) <= most:
        return list(numbers)
    return [numbers[int((i + 0.5) * len(numbers) / most)] for i in range(most)]


def as_compared(outputs: Outputs, task: Task) -> Tensor:
    """One output in the form that deviations are measured on."""
    return task.compared(outputs[task.output])
