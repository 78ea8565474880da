"""A model pulled towards equivariance by its loss: how far its outputs for moved samples are from moved outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from symbench.algebra.comparison import real_places
from symbench.algebra.fields import Undeclared
from symbench.base.errors import ConfigError, ImpossiblePair, ModelError, Problem
from symbench.domains.common.datasets.base import Dataset
from symbench.measure.assemble import Prepared, outputs_of
from symbench.measure.objective import Objective
from symbench.measure.suite import ModelEntry
from symbench.measure.tasks import Task, pair
from symbench.measure.training.augment import elements, moved

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Softening:
    """The equivariance regulariser of a recipe.

    Samples are shown as the symmetry leaves those that no element moves (a disc that fades them, say), as they are
    when they are measured. The elements are drawn so that each, by itself, keeps its sample's label.

    Attributes:
        symmetry: whose group the elements are of, one for each sample.
        weight: of the term in the loss.
    """

    symmetry: Prepared
    weight: float

    def unmoved(self, data: Dataset, leaves: Tensors) -> Tensors:
        """Leaves ``(n, ...)`` under the identity."""
        count = len(next(iter(leaves.values())))
        identity = self.symmetry.group.identity()  # (1, ...)
        return moved(data, leaves, self.symmetry, identity.expand(count, *identity.shape[1:]))

    def term(
        self,
        objective: Objective,
        leaves: Tensors,
        outputs: Tensors,
        targets: Tensors,
        indices: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """``weight`` times the mean over samples of ``|f(g x) - g f(x)|^2`` over the number of outputs.

        Both sides are differentiated. Outputs are those that meet a target, moved by the action on their field; a
        place that is padding counts as zero.

        Args:
            objective: runs the model, and has seen a batch.
            leaves: before they are moved, ``(n, ...)`` each.
            outputs: of the model for :meth:`unmoved` leaves.
            targets: ``(n, ...)`` each.
            indices: which samples these are, ``(n,)``.
            generator: draws the elements.

        Raises:
            ModelError: an output cannot be moved.
        """
        g = elements(objective.data, targets, indices, self.symmetry, generator)
        there = moved(objective.data, leaves, self.symmetry, g)
        masks, answers = objective.masks(there), objective.outputs(there)
        squares, numbers = [], 0
        for task in objective.tasks:
            expected = self._along(task, outputs[task.output], g, objective.model.name)
            apart = answers[task.output] - expected
            real = real_places(apart, task.field.named(self.symmetry.places).axes, masks)
            apart = apart if real is None else apart * real.view(*real.shape, *(1,) * (apart.ndim - real.ndim))
            squares.append(apart.square().flatten(1).sum(1))
            numbers += apart[0].numel()
        return self.weight * torch.stack(squares).sum(0).mean() / numbers

    def _along(self, task: Task, output: Tensor, g: Tensor, name: str) -> Tensor:
        """``g f(x)``, ``(n, ...)``."""
        try:
            action = self.symmetry.action_on(task.field, f"output {task.output}")
        except ConfigError as error:
            raise ModelError(error.problems) from error
        reason = action.check(tuple(output.shape[1:]))
        if reason is not None:
            got = f"its output {task.output!r} cannot be moved along, so that it cannot be softened: {reason}"
            raise ModelError(Problem(name, got, None, "Take out soften, or declare outputs: in the model's entry."))
        return action.act(g[None], output)[0]


def check_outputs(symmetry: Prepared, entry: ModelEntry, module: nn.Module, data: Dataset, where: str) -> None:
    """Refuse softening under a symmetry that has no action on an output.

    Raises:
        ConfigError: with the output.
    """
    for each in pair(outputs_of(entry, module, data.fields), data.targets, scale="probabilities"):
        target = each.target_field
        if target is None:
            continue
        field = target if isinstance(each.field, Undeclared) and not target.is_invariant else each.field
        try:
            symmetry.action_on(field, f"output {each.output}")
        except ConfigError as error:
            said = "; ".join(problem.got for problem in error.problems)
            got = f"no action on the output {each.output!r}: {said}"
            remedy = "Name another symmetry, or declare outputs: in the model's entry."
            raise ImpossiblePair(
                Problem(where, got, "a symmetry that moves it or leaves it alone", remedy)
            ) from error
