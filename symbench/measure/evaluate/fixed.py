"""Inputs that a group leaves as they are: what an equivariant model makes of them, the group has to leave as well.

``P x``, the mean of ``h.x`` over a finite subgroup, stays as it is under its elements. So ``h.f(P x) = f(P x)`` tests
all of them by one forward pass, without one on a moved input.
Mirror-symmetric images, planar molecules and such are inputs of this kind. An output that nothing moves is fixed
whatever the model does, of which the control says that it would be vacuous.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from symbench.algebra.actions.base import SHARP, Action, TrivialAction
from symbench.algebra.controls import FIXED
from symbench.base.records import FindingRecord
from symbench.measure.evaluate.declared import PLAINLY
from symbench.measure.evaluate.exactness import floor_of
from symbench.measure.evaluate.examined import Examined, relative_error
from symbench.measure.evaluate.forward import run_model
from symbench.measure.evaluate.job import load_leaves
from symbench.measure.evaluate.reference import Reference
from symbench.measure.evaluate.rows import Columns, Leaves, Outputs, as_compared, pairing, table

CLEAR = 0.2
"""The standard error of a deviation, relative to it, at which it is known well enough."""
STILL = 1e-9
"""How far, relative to its size, a mean over a group may be from what it is moved to."""
ONE = 1e-12
"""Share of the spread between samples below which symmetric inputs are all the same."""


def fixed_points(cell: Examined) -> str | None:
    """Rows ``fixed points`` of every output that moves; the reason where there are none."""
    moving = [reference for reference in cell.references if not isinstance(reference.action, TrivialAction)]
    if not moving:
        return "vacuous: no element moves an output, so that every output is fixed"
    if not cell.job.prepared.subgroups:
        return "no finite subgroup is known that inputs could be made symmetric under"
    sizes = cell.sizes(FIXED)
    elements, reason = _subgroup(cell, sizes[0].samples)
    if elements is None:
        return reason
    for size in sizes:
        rows = [_rows(cell, reference, elements, size.samples) for reference in moving]
        if None in rows:
            return "no input can be made symmetric: whole numbers, such as indices or kinds of places, would change"
        if all(each is None or relative_error(each["deviation_sq"].astype(float)) <= CLEAR for each in rows):
            break
    else:
        cell.unclear(FIXED, size)
    for reference, each in zip(moving, rows, strict=True):
        if each is not None:
            cell.found.tables.append(each)
            cell.found.findings.append(_finding(cell, reference, each, len(elements)))
    return None


def _subgroup(cell: Examined, count: int) -> tuple[Tensor | None, str | None]:
    """The largest whose symmetric inputs are not all one, or why there is none."""
    actions = _actions(cell)
    leaves = _wide(cell, count)
    lossy = True
    for elements in cell.job.prepared.subgroups:
        if any(kind not in SHARP for action in actions.values() for kind in action.kinds(elements)):
            continue
        if any(any(actions[name].exchanges(elements, tuple(x.shape[1:]))) for name, x in leaves.items()):
            continue  # no rectangle is left as it is by a quarter turn
        lossy = False
        if any(_spread(mean_over(actions[name], elements, x)) > ONE * _spread(x) for name, x in leaves.items()):
            return elements, None
    if lossy:
        return None, "needs elements of which nothing is lost"
    return None, "symmetric inputs are all one: nothing is left of a sample that the whole group leaves as it is"


def _actions(cell: Examined) -> Mapping[str, Action]:
    """Of the leaves that the model takes, those that move."""
    known = cell.job.prepared.actions
    return {name: known[name] for name in cell.job.takes if not isinstance(known[name], TrivialAction)}


def _wide(cell: Examined, count: int) -> Leaves:
    """The leaves of numbers that move, of the first samples, in float64."""
    leaves, _ = load_leaves(cell.best, cell.chosen[:count])
    return {name: leaves[name].double() for name in _actions(cell) if leaves[name].is_floating_point()}


def mean_over(action: Action, elements: Tensor, x: Tensor) -> Tensor:
    """``P x``, ``(n, ...)``: the mean of ``h.x`` over all elements ``(m, ...)`` of a finite group, one by one."""
    total = torch.zeros_like(x)
    for g in elements.split(1):
        total += action.act(g, x)[0]
    return total / len(elements)


def _changed(action: Action, elements: Tensor, x: Tensor) -> Tensor:
    """How far elements move the numbers of each sample at most, or whether any changes whole ones, ``(n,)``."""
    wide = x.double() if x.is_floating_point() else x
    most = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for g in elements.split(1):
        after = action.act(g, wide)[0]
        off = (after - wide).abs() if x.is_floating_point() else after != wide
        most = torch.maximum(most, off.reshape(len(x), -1).amax(1).to(most))
    return most


def _in_slices(function: Callable[[Tensor], Tensor], x: Tensor, together: int) -> Tensor:
    """Of some samples at a time: what is moved in float64 is several times a leaf."""
    return torch.cat([function(some) for some in x.split(together)])


def _spread(x: Tensor) -> float:
    return float(x.reshape(len(x), -1).var(0).sum())


def symmetric(
    actions: Mapping[str, Action], elements: Tensor, leaves: Leaves, together: int
) -> tuple[Leaves, Tensor]:
    """Leaves that the elements leave as they are, and of which samples they do, bool ``(n,)``.

    Numbers are averaged. Whole numbers, such as indices or kinds of atoms, cannot be: samples in which elements
    change them are left out.

    Args:
        actions: of the leaves that move.
        elements: all of a finite group, ``(m, ...)``.
        leaves: ``(n, ...)`` each.
        together: samples that are moved at a time.
    """
    found, fixed = dict(leaves), torch.ones(len(next(iter(leaves.values()))), dtype=torch.bool)
    for name, action in actions.items():
        x, limit = leaves[name], 0.0
        if x.is_floating_point():
            found[name] = _in_slices(partial(_averaged, action, elements), x, together)
            size = float(found[name].abs().amax()) + torch.finfo(torch.float64).tiny
            limit = max(STILL, 8 * torch.finfo(x.dtype).eps) * size
        fixed &= (_in_slices(partial(_changed, action, elements), found[name], together) <= limit).cpu()
    return found, fixed


def _averaged(action: Action, elements: Tensor, x: Tensor) -> Tensor:
    return mean_over(action, elements, x.double()).to(x.dtype)


def _rows(cell: Examined, reference: Reference, elements: Tensor, count: int) -> Columns | None:
    """How far ``f(P x)`` is from where elements move it, the mean over them; None without symmetric samples."""
    job, actions = cell.best, _actions(cell)
    leaves, _ = load_leaves(job, cell.chosen[:count])
    averaged, fixed = symmetric(actions, elements, leaves, job.batch)
    kept = fixed.nonzero()[:, 0]
    if len(kept) < 2:
        return None
    samples = [cell.chosen[int(i)] for i in kept]
    some = {name: x[kept.to(x.device)] for name, x in averaged.items()}
    values = as_compared(_in_batches(cell, some), reference.task)
    plain = as_compared(cell.unmoved(job, count), reference.task)[kept.to(values.device)]
    deviation = torch.cat(
        [_deviation(reference, elements, values[i : i + job.batch], samples[i : i + job.batch])
         for i in range(0, len(samples), job.batch)]
    )  # fmt: skip
    nulls = [pairing(x, x, reference.comparison, samples)["unrelated_sq"] for x in (plain, values)]
    null = max(nulls, key=lambda each: float(each.mean()))  # symmetric inputs may be alike, or far out
    columns = {"deviation_sq": deviation.cpu().numpy(), "unrelated_sq": null}
    return table(FIXED, reference.task.output, samples, 0, columns)


def _deviation(reference: Reference, elements: Tensor, values: Tensor, samples: Sequence[int]) -> Tensor:
    """How far each output ``(n, ...)`` is from where elements move it: the mean square over them, ``(n,)``."""
    total = torch.zeros(len(samples), dtype=torch.float64, device=values.device)
    for g in elements.split(1):
        total += reference.comparison.deviation(reference.action.act(g, values), values[None], samples)[0]
    return total / len(elements)


def _in_batches(cell: Examined, leaves: Leaves) -> Outputs:
    job, count = cell.best, len(next(iter(leaves.values())))
    pieces = [range(start, min(count, start + job.batch)) for start in range(0, count, job.batch)]
    found = [run_model(job, {name: x[piece.start : piece.stop] for name, x in leaves.items()}) for piece in pieces]
    return {name: torch.cat([each[name] for each in found]) for name in found[0]}


def _finding(cell: Examined, reference: Reference, rows: Columns, elements: int) -> FindingRecord:
    """In words where it is beyond rounding."""
    above, below = (float(np.mean(rows[name].astype(float))) for name in ("deviation_sq", "unrelated_sq"))
    error = (above / below) ** 0.5 if below > 0 else 0.0
    number = list(cell.references).index(reference)
    floor = floor_of(cell, number, below) if below > 0 else 0.0
    words = None
    if error > max(10 * floor, PLAINLY):
        words = f"inputs that {elements} elements leave as they are give outputs that these move (by {error:.1e})"
    numbers = {"error": error}
    return FindingRecord(
        control=FIXED, output=reference.task.output, words=words, numbers=numbers,
        samples=len(rows["sample"]), elements=elements,
    )  # fmt: skip
