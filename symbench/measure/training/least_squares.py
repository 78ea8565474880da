"""Least squares: the weights with the lowest squared loss, at once, for models that are linear in them.

Everything is computed in float64 on the CPU, whatever the model is of and wherever it is measured: the weights are
then those of the closed form up to one rounding.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import prod

import torch
from torch import Tensor, nn

from symbench.base.errors import ModelError, Problem
from symbench.base.events import Advanced, Finished, Listener, Started
from symbench.measure.objective import Objective
from symbench.measure.plan.workspace import Workspace
from symbench.measure.tasks import Task
from symbench.measure.tasks.regression import Regression
from symbench.measure.training.augment import shown_under
from symbench.measure.training.record import Progress, Record
from symbench.measure.training.setting import Setting, objective_of

AT_ONCE = 4096
"""Samples, each under one element, that the model is shown at a time."""
MOST_NUMBERS = 100_000_000
"""Numbers of the design matrix, 800 MB: as many rows as there are outputs of moved samples, a column per weight."""
TRIED = 3
"""Random weights at which the outputs have to be what the design matrix makes of them."""
LINEAR = 1e-9
"""How far they may be from that, over the largest."""
REMARKS = {
    "operations": "not counted: the weights were solved for in one go, which counts as one step",
    "peak_memory_bytes": "not counted: the weights were solved for on the CPU",
}
Tensors = dict[str, Tensor]


def solved(space: Workspace, setting: Setting, module: nn.Module, listen: Listener) -> Record:
    """Give a module the weights with the lowest mean squared loss, those of the smallest norm where several have it.

    Args:
        space: holds the suite.
        setting: the recipe, and the samples; with full augmentation each is shown under every element.
        module: its parameters that need a gradient are set; it is computed in evaluation mode.
        listen: hears of it.

    Raises:
        ModelError: the loss is not squared, the outputs are not linear in the weights, or there is too much of it.
    """
    start = time.perf_counter()
    listen(Started(f"training {setting.name}", 1, "solutions"))
    try:
        double = copy.deepcopy(module).double()
        objective = objective_of(space, setting, double, "cpu")
        double.eval()
        design, wanted = _system(setting, objective, _weights(double))
        solution = least_squares(design, wanted)
        loss = float((wanted - design @ solution).square().mean())
        if not torch.isfinite(solution).all():
            raise ModelError(Problem(setting.name, "least squares ended in weights that are not finite"))
        put(_weights(module), solution)
        listen(Advanced(1, f"loss {loss:.3f}"))
    finally:
        listen(Finished())
    progress = Progress()
    progress.add(loss, None, _shown(setting))
    progress.close(None)
    progress.seconds = time.perf_counter() - start
    return Record(progress, len(setting.parts.learnt), None, REMARKS)


def least_squares(design: Tensor, wanted: Tensor) -> Tensor:
    """The ``w`` of the smallest norm among those with the lowest ``|design w - wanted|^2``.

    Args:
        design: ``(rows, weights)``, float64, on the CPU.
        wanted: ``(rows,)``, likewise.

    Returns:
        ``(weights,)``.
    """
    # gelsy finds the rank; the default of other devices takes full rank for granted, and so would a solution of the
    # normal equations, which has half of the digits besides.
    solution: Tensor = torch.linalg.lstsq(design, wanted[:, None], driver="gelsy").solution[:, 0]
    return solution


def put(parameters: Sequence[nn.Parameter], vector: Tensor) -> None:
    """Copy a vector into parameters end to end, in the dtype and on the device of each."""
    with torch.no_grad():
        for parameter, part in zip(parameters, vector.split([p.numel() for p in parameters]), strict=True):
            parameter.copy_(part.view_as(parameter))


def _weights(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _shown(setting: Setting) -> int:
    """Samples, each as often as it is shown."""
    augment = setting.augment
    return len(setting.parts.learnt) * (1 if augment is None else augment.symmetry.group.count or 1)


def _blocks(setting: Setting) -> Iterator[tuple[Tensors, Tensors]]:
    """Leaves and targets of all samples under all elements, some at a time."""
    learnt, augment = setting.parts.learnt, setting.augment
    if augment is None:
        for number, indices in enumerate(learnt.split(AT_ONCE)):
            yield setting.read(indices, str(number))
        return
    group = augment.symmetry.group.elements()  # (k, ...)
    for number, pairs in enumerate(torch.arange(_shown(setting)).split(AT_ONCE)):
        leaves, targets = setting.read(learnt[pairs // len(group)], str(number))
        yield shown_under(setting.data, leaves, targets, augment.symmetry, group[pairs % len(group)])


@torch.no_grad()
def _system(setting: Setting, objective: Objective, weights: list[nn.Parameter]) -> tuple[Tensor, Tensor]:
    """The design matrix ``(rows, weights)`` and what its product with the weights is to be, ``(rows,)``; float64.

    Raises:
        ModelError: as :func:`solved`.
    """
    name, count = setting.name, sum(parameter.numel() for parameter in weights)
    parts = []
    for leaves, targets in _blocks(setting):
        task = _task(name, objective, leaves, targets)
        _check_room(name, _shown(setting) * prod(objective.shapes[0]), count)
        answer = partial(_answer, objective, task, weights, leaves, targets)
        design, offset = affine(lambda vector, answer=answer: answer(vector)[0], count, name)  # type: ignore[misc]
        parts.append((design, answer(torch.zeros(count, dtype=torch.float64))[1] - offset))
    design, wanted = (torch.cat(each) for each in zip(*parts, strict=True))
    if not torch.isfinite(wanted).all():
        raise ModelError(Problem(name, "least squares met targets that are not finite", "finite numbers"))
    return design, wanted


def _answer(
    objective: Objective,
    task: Task,
    weights: Sequence[nn.Parameter],
    leaves: Tensors,
    targets: Tensors,
    vector: Tensor,
) -> tuple[Tensor, Tensor]:
    """Outputs and targets without padding, end to end: ``(rows,)`` each, float64, for the weights ``vector``."""
    put(weights, vector)
    output = objective.outputs(leaves)[task.output]
    target = targets[task.target or ""].double().reshape(output.shape)
    real, wanted = objective.unpadded(task, output, target, objective.masks(leaves))
    return real.double().flatten(), wanted.flatten()


def affine(outputs: Callable[[Tensor], Tensor], count: int, name: str) -> tuple[Tensor, Tensor]:
    """The matrix and the offset of an affine map, from its values at zero and at each unit vector.

    Args:
        outputs: of weights ``(count,)``, float64, to ``(rows,)``.
        count: of weights.
        name: the model's, for messages.

    Returns:
        ``(rows, count)`` and ``(rows,)``.

    Raises:
        ModelError: it is not affine, at random weights; or not finite.
    """
    offset = outputs(torch.zeros(count, dtype=torch.float64))
    matrix = torch.stack([outputs(unit) - offset for unit in torch.eye(count, dtype=torch.float64)], dim=1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(TRIED):
        vector = torch.randn(count, dtype=torch.float64, generator=generator)
        apart = (outputs(vector) - offset - matrix @ vector).abs().max()
        scale = (matrix.abs() @ vector.abs() + offset.abs()).max()
        if not apart <= LINEAR * scale:  # a NaN is none either
            got = "its outputs are not linear in its weights, so that least squares cannot find them"
            remedy = "Take a linear model, or another optimiser."
            raise ModelError(Problem(name, got, "outputs that are linear in the weights", remedy))
    return matrix, offset


def _task(name: str, objective: Objective, leaves: Tensors, targets: Tensors) -> Regression:
    """The one task, whose loss is squared.

    Raises:
        ModelError: there is another, or several.
    """
    objective.loss(objective.outputs(leaves), leaves, targets)  # looks at the tasks
    task = objective.tasks[0]
    if len(objective.tasks) > 1 or not isinstance(task, Regression):
        kinds = " and ".join(each.kind for each in objective.tasks)
        remedy = "Take another optimiser for it."
        raise ModelError(Problem(name, f"got least-squares for {kinds}", "one output of numbers", remedy))
    return task


def _check_room(name: str, rows: int, count: int) -> None:
    """Refuse a design matrix that is too large, or empty.

    Raises:
        ModelError: with its size.
    """
    if not 0 < rows * count <= MOST_NUMBERS:
        got = f"least squares with {rows:,} outputs and {count:,} weights"
        expected = f"at least one weight, and at most {MOST_NUMBERS:,} numbers in both together"
        raise ModelError(Problem(name, got, expected, "Lower samples, or take a smaller model or group."))
