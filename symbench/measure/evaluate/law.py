"""Does what moves leaves and outputs follow the group's law? ``g.(h.x)`` against ``(g h).x``, without the model.

An action that turns rows by the matrix rather than by its transpose is one from the right: h comes after g. Each
element of it looks like one of the group; beside outputs that turn the right way round, an exact model looks broken.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from symbench.algebra.actions.base import SHARP, Action, TrivialAction
from symbench.algebra.controls import LAW
from symbench.base.records import FindingRecord
from symbench.measure.evaluate.examined import Examined
from symbench.measure.evaluate.job import load_leaves

BROKEN = 1e-4
"""How far two ways to one element may lead, relative to the values, in single precision and better."""
FEW = 8
"""Samples whose leaves and outputs are moved."""
PAIRS = 4
"""Pairs of elements that are tried."""


def group_law(cell: Examined) -> str | None:
    """A finding for each leaf and output whose action breaks the law; the reason where none can be tried."""
    samples, tried = cell.chosen[:FEW], False
    every = cell.job.prepared.elements.at(samples)
    for name, output, action, values in _moved(cell, len(samples)):
        worst, reversed_ = 0.0, 0.0
        for g, h in _pairs(cell, action, every):
            tried = True
            found = _off(cell, action, g, h, values)
            worst, reversed_ = max(worst, found[0]), max(reversed_, found[1])
        if worst > BROKEN:
            numbers = {"left": worst, "right": reversed_}
            words = _words(name, worst, reversed_)
            record = FindingRecord(
                control=LAW, output=output, words=words, numbers=numbers, samples=len(samples), elements=PAIRS
            )
            cell.found.findings.append(record)
    return None if tried else "no two elements lose nothing"


def _moved(cell: Examined, count: int) -> Iterator[tuple[str, str | None, Action, Tensor]]:
    """Everything that moves: its name, its output, its action, and values of the first samples, float64 or whole."""
    leaves, _ = load_leaves(cell.job, cell.chosen[:count])
    for name in cell.job.takes:
        action = cell.job.prepared.actions[name]
        if not isinstance(action, TrivialAction):
            x = leaves[name]
            yield f"leaf {name!r}", None, action, x.double() if x.is_floating_point() else x
    for reference in cell.references:
        if not isinstance(reference.action, TrivialAction):
            yield (
                f"output {reference.task.output!r}",
                reference.task.output,
                reference.action,
                cell.raw[reference.task.output][:count].double(),
            )


def _pairs(cell: Examined, action: Action, every: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Some pairs of elements, each ``(1, ...)`` or ``(1, n, ...)``, under which nothing is lost."""
    numbers = range(1, min(len(every), PAIRS + 2))
    pairs = [(i, j) for i in numbers for j in numbers if i < j][:PAIRS] or [(i, i) for i in numbers]
    for i, j in pairs:
        g, h = every[i : i + 1], every[j : j + 1]
        products = [_product(cell, a, b) for a, b in ((g, h), (h, g))]
        if all(kind in SHARP for each in (g, h, *products) for kind in action.kinds(_flat(cell, each))):
            yield g, h


def _flat(cell: Examined, g: Tensor) -> Tensor:
    return g.flatten(0, g.ndim - 1 - cell.job.prepared.group.element_ndim)


def _product(cell: Examined, g: Tensor, h: Tensor) -> Tensor:
    return cell.job.prepared.group.compose(_flat(cell, g), _flat(cell, h)).reshape(g.shape)


def _off(cell: Examined, action: Action, g: Tensor, h: Tensor, x: Tensor) -> tuple[float, float]:
    """How far ``g.(h.x)`` is from ``(g h).x``, and from ``(h g).x``, relative to x."""
    twice = action.act(g, action.act(h, x)[0])[0].double()
    size = float(torch.linalg.vector_norm(x.double())) or 1.0
    both = (action.act(_product(cell, a, b), x)[0].double() for a, b in ((g, h), (h, g)))
    left, right = (float(torch.linalg.vector_norm(twice - once)) / size for once in both)
    return left, right


def _words(name: str, left: float, right: float) -> str:
    if right <= BROKEN:
        return (
            f"the action on {name} is one from the right: g after h does what (h g) does. Are rows turned by the "
            "matrix rather than by its transpose?"
        )
    return f"the action on {name} does not follow the group's law: g after h is {left:.1e} off (g h)"
