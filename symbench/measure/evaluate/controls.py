"""Evaluations whose right answer is known: they give the floor below which a number means nothing.

``repeat``: the same samples again, which has to give the same. ``re-batch``: at another batch size and place.
``precision``: against the same weights in float64; what does not run in that is judged as it runs. The others have
files of their own beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.comparison import squared_distances
from symbench.algebra.controls import ControlRow, suiting
from symbench.base.columns import OBSERVATIONS
from symbench.base.errors import CellError, ModelError, Problem
from symbench.base.records import GeneratorRecord
from symbench.measure.evaluate.brought import facts_by
from symbench.measure.evaluate.exactness import compare_precisions, deviates, exact_sizes
from symbench.measure.evaluate.job import Job, briefly
from symbench.measure.evaluate.layers import measure_layers
from symbench.measure.evaluate.lie import LieRows, lie_derivatives
from symbench.measure.evaluate.precision import in_float64, lower_inside
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rows import Columns, Outputs, as_compared, distances, outputs_of, table
from symbench.measure.evaluate.split import split_by_reference
from symbench.measure.evaluate.stopwatch import Stopwatch, Taken
from symbench.measure.store import PART

REPEATABLE = 1e-2
"""A model whose outputs for one input differ by more than this, in units of the null, is refused: there is nothing
to measure. Rounding on any device stays far below."""


@dataclass
class Controls:
    """What the controls of a cell came to.

    Attributes:
        tables: columns of observations.
        reasons: each control, None where it ran.
        generators: of the Lie derivative's rows.
        sizes: E in float64 by the side of the image, around the size that is measured.
        lower: where the model computes in lower precision inside, by the submodule's name; looked for where it is
            not exact.
        taken: the times of passes that were made.
        facts: what controls of domains and plug-ins found of the model.
    """

    tables: list[Columns] = field(default_factory=list)
    reasons: dict[str, str | None] = field(default_factory=dict)
    generators: list[GeneratorRecord] = field(default_factory=list)
    sizes: dict[int, float] = field(default_factory=dict)
    lower: dict[str, str] = field(default_factory=dict)
    taken: Taken = ()
    facts: dict[str, float | None] = field(default_factory=dict)

    @property
    def rows(self) -> Columns:
        """All rows together."""
        return {name: np.concatenate([rows[name] for rows in self.tables]) for name in OBSERVATIONS.names}


def run_controls(job: Job, references: Sequence[Reference], order: Sequence[int]) -> Controls:
    """Run all controls on the first samples of the cell's order.

    Raises:
        ModelError: the model is not repeatable, or depends on what else is in the batch.
    """
    chosen = list(order[: job.control_samples])
    found = Controls()
    first = [r.task.compared(_rows_of(r, len(chosen), job)) for r in references]
    unmoved = _repeat(job, references, chosen, first, found)
    runs = {"suite dtype": (job, unmoved)} | _precision(job, references, chosen, first, found)
    exact = runs["float64"][0] if "float64" in runs else job.plain
    _try(found, "exactness", lambda: compare_precisions(runs, references, chosen, found.tables))
    if deviates(found.tables, references):
        found.lower = lower_inside(exact, chosen)
    _try(found, "geometry", lambda: exact_sizes(job, exact, references, chosen, found.tables, found.sizes))
    _try(found, "Lie derivative", lambda: _lie(exact, references, chosen, found))
    _try(found, "reference split", lambda: split_by_reference(job, references, chosen, unmoved, found.tables))
    _try(found, "layers", lambda: measure_layers(job, chosen, found.tables))
    for name, row in suiting(job.dataset.fields).items():
        _try(found, name, partial(_of_model, name, row, job, exact, found))
    return found


def _try(found: Controls, name: str, control: Callable[[], str | None]) -> None:
    """Run a control; what a model raises, such as on an image of another size, is the reason why there is none."""
    try:
        found.reasons[name] = control()
    except CellError as error:
        found.reasons[name] = briefly(error)


def _repeat(
    job: Job, references: Sequence[Reference], chosen: list[int], first: list[Tensor], found: Controls
) -> Outputs:
    """Rows ``repeat`` and ``re-batch``; returns the outputs of the control samples."""
    nulls = [_reference_null(values) for values in first]
    watch = Stopwatch(job.device)
    unmoved = outputs_of(job, chosen, watch=watch)
    found.taken = watch.taken
    for control, outputs in (("repeat", unmoved), ("re-batch", _rebatched(job, chosen))):
        found.reasons[control] = None
        for reference, values, null in zip(references, first, nulls, strict=True):
            again = as_compared(outputs, reference.task)
            columns = distances(values, again, reference.task)
            found.tables.append(table(control, reference.task.output, chosen, 0, columns))
            _refuse_if_different(job, control, reference, values, again, null)
    return unmoved


def _precision(
    job: Job, references: Sequence[Reference], chosen: list[int], first: list[Tensor], found: Controls
) -> dict[str, tuple[Job, Outputs]]:
    """Rows ``precision``; returns the job in float64 with its outputs, nothing where the model does not run in it."""
    exact, found.reasons["precision"] = in_float64(job)
    if exact is None:
        return {}
    try:
        outputs = outputs_of(exact, chosen)
    except CellError as error:
        found.reasons["precision"] = f"the model does not run in float64: {briefly(error)}"
        return {}
    for reference, values in zip(references, first, strict=True):
        columns = distances(values, as_compared(outputs, reference.task).to(job.exact), reference.task)
        found.tables.append(table("precision", reference.task.output, chosen, 0, columns))
    return {"float64": (exact, outputs)}


def _of_model(name: str, row: ControlRow, job: Job, exact: Job, found: Controls) -> None:
    found.facts |= facts_by(row, name, job, exact)


def _lie(exact: Job, references: Sequence[Reference], chosen: list[int], found: Controls) -> str | None:
    rows: LieRows = lie_derivatives(exact, references, chosen)
    found.generators += rows.generators
    found.tables += rows.tables
    return rows.reason


def _rows_of(reference: Reference, count: int, job: Job) -> Tensor:
    """The reference pass's outputs of the first ``count`` samples, which may span parts."""
    found = [reference.rows(start, min(start + PART, count), job.exact) for start in range(0, count, PART)]
    return torch.cat(found)


def _rebatched(job: Job, samples: Sequence[int]) -> Outputs:
    """The same samples from last to first, in batches of another size; back in their order."""
    outputs = outputs_of(job, samples[::-1], batch=max(1, min(job.batch, len(samples)) * 2 // 3))
    return {name: values.flip(0) for name, values in outputs.items()}


def _reference_null(values: Tensor) -> float:
    """Mean squared distance between the outputs of different samples, ``(n, *output)``."""
    centred = values.reshape(len(values), -1)
    return float(2 * centred.var(dim=0, correction=1).sum()) if len(values) > 1 else 0.0


def _refuse_if_different(
    job: Job, control: str, reference: Reference, values: Tensor, again: Tensor, null: float
) -> None:
    difference = float(squared_distances(again[None], values[None]).mean())
    size = float(values.reshape(len(values), -1).square().sum(1).mean())
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
