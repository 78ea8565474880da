"""Whose fault is it: the model's, or the resampling's?

With T the reference action (Fourier, on a canvas with room around the image) and R the suite's,
``f(R_g x) - R_g f(x) = [f(T_g x) - T_g f(x)] + remainder``: the bracket is the model's share, the remainder what
resampling does on the input's and the output's side. Both stand side by side with their cross term; squares of the
one are never taken from squares of the other.

``two routes`` goes to g in two equal steps: what that changes is the reference's own error, and a share of the model
below it is not resolved. ``round trip`` shows the model ``R_1/g R_g x``: whether predictions survive resampling
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from symbench.algebra.actions.base import Action, TrivialAction
from symbench.measure.evaluate.job import Job, kinds
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rows import (
    Columns,
    Leaves,
    Outputs,
    distances,
    outputs_of,
    pairing,
    spread,
    squares,
    table,
)

MOST_ELEMENTS = 4
"""Resampled elements that are split; the model runs five times on the control samples for each."""

Mover = Callable[[Action, Tensor, Tensor], Tensor]
"""``(action, g, x) -> g.x``; g ``(1, ...)``, x ``(n, ...)``, one for each."""


def split_by_reference(
    job: Job, references: Sequence[Reference], samples: Sequence[int], unmoved: Outputs, tables: list[Columns]
) -> str | None:
    """Rows of the split, of two routes and of the round trip; the reason where there are none.

    Args:
        job: the model, the data and the symmetry.
        references: the outputs.
        samples: control samples.
        unmoved: their outputs as they are.
        tables: filled in.
    """
    numbers = [number for number, kind in enumerate(kinds(job, samples)) if kind == "resampled"]
    if not numbers:
        return "no element is resampled: all of the error is the model's"
    if len(samples) < 2:
        return "a single sample has no others"
    chosen = spread(numbers, MOST_ELEMENTS)
    for number in chosen:
        back = outputs_of(job, samples, change=_round_trip(job, number))
        for reference in references:
            name, task = reference.task.output, reference.task
            again = distances(task.compared(unmoved[name]), task.compared(back[name]), task)
            tables.append(table("round trip", name, samples, number, again))
    if job.prepared.elements.moved_reference:
        return "not attributable: the reference view is moved itself"
    g = job.prepared.elements.at(samples)
    actions = [*job.prepared.actions.values(), *(r.action for r in references)]
    if any(action.reference(g[numbers[:1]]) is None for action in actions):
        return "not attributable: there is no reference action"
    for number in chosen:
        _split_one(job, references, samples, number, unmoved, tables)
    return None


def _split_one(
    job: Job,
    references: Sequence[Reference],
    samples: Sequence[int],
    number: int,
    unmoved: Outputs,
    tables: list[Columns],
) -> None:
    once, twice, suite = (
        _deviations(job, references, samples, number, unmoved, mover)
        for mover in (_reference(1), _reference(2), _act)
    )
    for reference in references:
        name = reference.task.output
        (a, b), (a2, b2), (ra, rb) = once[name], twice[name], suite[name]
        model, total = a - b, ra - rb
        g = job.prepared.elements.at(samples)[number : number + 1]
        null = pairing(*_in_place(reference, g, a, b), reference.comparison, samples)["unrelated_sq"]
        for control, columns in (
            ("total", squares(total)),
            ("reference", {**squares(model), "unrelated_sq": null}),
            ("remainder", squares(total - model)),
            ("two routes", squares((a2 - b2) - model)),
        ):
            tables.append(table(control, name, samples, number, columns))


def _in_place(reference: Reference, g: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs that every sample's own element moved, moved back, so that other samples' are comparable."""
    if not reference.in_place or isinstance(reference.action, TrivialAction):
        return a, b
    back = reference.prepared.group.inverse(g.flatten(0, 1))[None]
    return _act(reference.action, back, a), _act(reference.action, back, b)


def _act(action: Action, g: Tensor, x: Tensor) -> Tensor:
    return action.act(g, x)[0]


def _reference(steps: int) -> Mover:
    def move(action: Action, g: Tensor, x: Tensor) -> Tensor:
        found = action.reference(g, steps=steps)
        if found is None:
            raise ValueError("there is no reference action")
        return found(x)[0]

    return move


def _deviations(
    job: Job, references: Sequence[Reference], samples: Sequence[int], number: int, unmoved: Outputs, mover: Mover
) -> dict[str, tuple[Tensor, Tensor]]:
    """``f(g.x)`` and ``g.f(x)`` of every output, as compared, with inputs and outputs moved in one way."""

    def change(leaves: Leaves, some: Sequence[int]) -> Leaves:
        g = job.prepared.elements.at(some)[number : number + 1]
        return {name: mover(job.prepared.actions[name], g, x) for name, x in leaves.items()}

    moved = outputs_of(job, samples, change=change)
    g = job.prepared.elements.at(samples)[number : number + 1]
    found = {}
    for reference in references:
        name, task = reference.task.output, reference.task
        expected = mover(reference.action, g, task.compared(unmoved[name]))
        found[name] = (task.compared(moved[name]), expected)
    return found


def _round_trip(job: Job, number: int) -> Callable[[Leaves, Sequence[int]], Leaves]:
    actions, group = job.prepared.actions, job.prepared.group

    def change(leaves: Leaves, some: Sequence[int]) -> Leaves:
        g = job.prepared.elements.at(some)[number : number + 1]
        back = group.inverse(g.flatten(0, -1 - group.element_ndim)).reshape(g.shape)
        return {name: _act(actions[name], back, _act(actions[name], g, x)) for name, x in leaves.items()}

    return change
