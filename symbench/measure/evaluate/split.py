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

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.actions.base import Action, TrivialAction
from symbench.measure.evaluate.examined import SURE, Examined, relative_error
from symbench.measure.evaluate.job import Job, kinds
from symbench.measure.evaluate.reference import Reference, known_of
from symbench.measure.evaluate.rows import (
    Columns,
    Leaves,
    distances,
    outputs_of,
    pairing,
    spread,
    squares,
    table,
)

Pairs = dict[str, tuple[Tensor, Tensor]]
"""By output, what is compared with what, ``(n, *output)`` each."""
Mover = Callable[[Action, Tensor, Tensor], Tensor]
"""``(action, g, x) -> g.x``; g ``(1, ...)``, x ``(n, ...)``, one for each."""


def split_by_reference(cell: Examined) -> str | None:
    """Rows of the split, of two routes and of the round trip; the reason where there are none."""
    job = cell.job
    numbers = [number for number, kind in enumerate(kinds(job, cell.chosen)) if kind == "resampled"]
    if not numbers:
        return "no element is resampled: all of the error is the model's"
    if len(cell.chosen) < 2:
        return "a single sample has no others"
    sizes, reason = cell.sizes("reference split"), _no_reference(cell, numbers[0])
    grown: dict[str, dict[int, Pairs]] = {}
    done, rows = 0, []
    for size in sizes:
        chosen = spread(numbers, size.elements)
        for number in chosen:
            for name, mover in (MOVERS if reason is None else {}).items():
                new = _deviations(cell, slice(done, size.samples), number, mover)
                known = grown.setdefault(name, {}).setdefault(number, {})
                grown[name][number] = {k: _joined(known.get(k), pair) for k, pair in new.items()}
            back = outputs_of(job, cell.chosen[done : size.samples], change=_round_trip(job, number))
            known = grown.setdefault("round trip", {}).setdefault(number, {})
            grown["round trip"][number] = {k: _joined(known.get(k), (x, x)) for k, x in back.items()}
        done = size.samples
        rows = [
            row for number in chosen for row in _rows(cell, {k: v[number] for k, v in grown.items()}, number, done)
        ]
        if all(_clear(rows, reference.task.output) for reference in cell.references):
            break
    else:
        cell.unclear("reference split", size)
    cell.found.tables += rows
    return reason


def _no_reference(cell: Examined, number: int) -> str | None:
    """Why nothing can be split; the round trip is shown all the same."""
    job = cell.job
    if job.prepared.elements.moved_reference:
        return "not attributable: the reference view is moved itself"
    if not all(reference.comparison.vectors for reference in cell.references):
        return "not attributable: an output is a set of objects, of which there are no differences to be split"
    g = job.prepared.elements.at(cell.chosen)[number : number + 1]
    actions = [*job.prepared.actions.values(), *(r.action for r in cell.references)]
    if any(action.reference(g) is None for action in actions):
        return "not attributable: there is no reference action"
    return None


def _joined(known: tuple[Tensor, Tensor] | None, more: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return more if known is None else (torch.cat([known[0], more[0]]), torch.cat([known[1], more[1]]))


def _rows(cell: Examined, grown: Mapping[str, Pairs], number: int, count: int) -> Iterator[Columns]:
    """The rows of one element."""
    samples = cell.chosen[:count]
    for reference, values in zip(cell.references, cell.first, strict=True):
        name, task = reference.task.output, reference.task
        again = task.compared(grown["round trip"][name][0])
        trip = distances(values[:count], again, task, reference.comparison)
        yield table("round trip", name, samples, number, trip)
        if "once" not in grown:
            continue
        (a, b), (a2, b2), (ra, rb) = (grown[mover][name] for mover in MOVERS)
        model, total = a - b, ra - rb
        g = cell.job.prepared.elements.at(samples)[number : number + 1]
        null = pairing(*_in_place(reference, g, a, b), reference.comparison, samples)["unrelated_sq"]
        for control, columns in (
            ("total", squares(total)),
            ("reference", {**squares(model), "unrelated_sq": null}),
            ("remainder", squares(total - model)),
            ("two routes", squares((a2 - b2) - model)),
        ):
            yield table(control, name, samples, number, columns)


def _clear(rows: Sequence[Columns], output: str) -> bool:
    """Whether the shares of an output are known to a tenth; without a split, what the round trip changes."""
    mine = [row for row in rows if row["output"][0] == output]

    def mean(control: str, column: str) -> np.ndarray:
        return np.mean([row[column] for row in mine if row["control"][0] == control], axis=0)

    if not any(row["control"][0] == "reference" for row in mine):
        trip = mean("round trip", "deviation_sq").astype(float)
        return not trip.any() or relative_error(trip) <= SURE
    below = mean("reference", "unrelated_sq").astype(float)
    shares = [mean(control, "deviation_sq").astype(float) for control in ("reference", "remainder")]
    return bool(below.mean() > 0) and all(relative_error(share, below) <= SURE for share in shares)


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


MOVERS: Mapping[str, Mover] = {"once": _reference(1), "twice": _reference(2), "suite": _act}
"""By the reference action in one step, in two, and as the suite moves."""


def _deviations(cell: Examined, span: slice, number: int, mover: Mover) -> Pairs:
    """``f(g.x)`` and ``g.f(x)`` of every output, as compared, with inputs and outputs moved in one way."""
    job, samples = cell.job, cell.chosen[span]

    def change(leaves: Leaves, some: Sequence[int]) -> Leaves:
        g = job.prepared.elements.at(some)[number : number + 1]
        return {name: mover(job.prepared.actions[name], g, x) for name, x in leaves.items()}

    moved = outputs_of(job, samples, change=change)
    g = job.prepared.elements.at(samples)[number : number + 1]
    found = {}
    for reference, values in zip(cell.references, cell.first, strict=True):
        name, task = reference.task.output, reference.task
        a, b, inside = task.compared(moved[name]), mover(reference.action, g, values[span]), reference.inside(g)
        if inside is not None:
            a, b = known_of(a[None], inside)[0], known_of(b[None], inside)[0]
        found[name] = a, b
    return found


def _round_trip(job: Job, number: int) -> Callable[[Leaves, Sequence[int]], Leaves]:
    actions, group = job.prepared.actions, job.prepared.group

    def change(leaves: Leaves, some: Sequence[int]) -> Leaves:
        g = job.prepared.elements.at(some)[number : number + 1]
        back = group.inverse(g.flatten(0, -1 - group.element_ndim)).reshape(g.shape)
        return {name: _act(actions[name], back, _act(actions[name], g, x)) for name, x in leaves.items()}

    return change
