"""What training shows a model and what it lowers: samples with targets moved alike, and the loss of every task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from symbench.algebra.comparison import real_places
from symbench.algebra.fields import Category, Classes, Field, MultiLabel
from symbench.algebra.groups.base import Group, PermutesPlaces
from symbench.base.code import foreign
from symbench.base.errors import DataError, ModelError, Problem
from symbench.domains.common.datasets.base import Dataset, Valid
from symbench.domains.common.datasets.targets import present
from symbench.domains.common.models.base import Model
from symbench.domains.common.models.running import dtypes_of, handed
from symbench.measure.assemble import Prepared, normalised_leaves
from symbench.measure.tasks import Open, Task, fitting, pair

TRIES = 100
"""Elements that are drawn for a sample until one keeps its label; then it is left as it is."""
Tensors = dict[str, Tensor]


def augmented(
    data: Dataset,
    leaves: Tensors,
    targets: Tensors,
    indices: Tensor,
    augment: Prepared | None,
    generator: torch.Generator,
) -> tuple[Tensors, Tensors]:
    """Samples moved by an element each, and their targets by the same: forces turn with the positions.

    No element changes a sample's label: a 6 upside down is no 6 to be learnt.

    Args:
        data: says what keeps a label, and what is padding.
        leaves: ``(n, ...)`` each.
        targets: likewise.
        indices: which samples these are, ``(n,)``.
        augment: the symmetry; None leaves everything as it is.
        generator: draws the elements.

    Raises:
        DataError: the dataset's rule of labels raised.
        ConfigError: nobody says how a target moves.
    """
    if augment is None:
        return leaves, targets
    drawn = _drawn(data, augment, indices, generator)  # (n, ...), one element for each sample
    labels = _labels(data, targets)
    if labels is not None and data.valid is not None:
        drawn = _kept(
            drawn, augment.group, labels, data.valid, lambda some: _drawn(data, augment, indices[some], generator)
        )
    actions = augment.actions
    ready = {name: x.double() if augment.is_computed(name, data.fields[name]) else x for name, x in leaves.items()}
    moved = {
        name: actions[name].finish(actions[name].act(drawn[None], actions[name].prepare(x))[0])
        for name, x in ready.items()
    }
    along = {name: augment.action_on(data.targets[name], f"target {name}") for name in targets}
    return moved, {name: along[name].act(drawn[None], x)[0] for name, x in targets.items()}


def _drawn(data: Dataset, augment: Prepared, indices: Tensor, generator: torch.Generator) -> Tensor:
    """An element for each sample; where samples have places in different numbers, one that leaves padding alone."""
    sizes, group = data.sizes.get(augment.lookup.moved), augment.group
    if sizes is not None and isinstance(group, PermutesPlaces):
        each = [group.sample_within(int(sizes[i]), 1, generator=generator) for i in indices.tolist()]
        return torch.cat(each)
    return group.sample(len(indices), generator=generator)


def _labels(data: Dataset, targets: Mapping[str, Tensor]) -> list[list[int]] | None:
    """The classes of each sample that a dataset's rule of labels is asked about; None where nothing is asked."""
    kinds = (Category, Classes, MultiLabel)
    names = [name for name in targets if isinstance(data.targets[name], kinds)]
    return present(targets[names[0]]) if names and data.valid is not None else None


def _kept(
    drawn: Tensor,
    group: Group,
    labels: Sequence[Sequence[int]],
    valid: Valid,
    again: Callable[[Sequence[int]], Tensor],
) -> Tensor:
    """Elements ``(n, ...)`` with those drawn again that change a label; the identity where ``TRIES`` draws all do."""
    drawn = drawn.clone()
    waiting = list(range(len(drawn)))
    for _ in range(TRIES):
        parameters = group.parameters(drawn[waiting])
        with foreign(DataError, "augmentation", "asking which elements keep a label (valid)"):
            kept = [all(valid(x, named) for x in labels[i]) for i, named in zip(waiting, parameters, strict=True)]
            waiting = [i for i, keeps in zip(waiting, kept, strict=True) if not keeps]
        if not waiting:
            return drawn
        drawn[waiting] = again(waiting)
    drawn[waiting] = group.identity()
    return drawn


class Objective:
    """The loss of a model's outputs: each task's own, added up over the tasks that have a target.

    The first batch says how many numbers an output has and which form its scores are in, and that holds for all.

    Args:
        model: whose outputs meet the targets by name.
        data: what it learns from.
        takes: the leaves that it takes, in its order.
        meant: the field of the targets that the model was made for, where that is known.
        device: where.

    Raises:
        ModelError: no output meets a target.
    """

    def __init__(self, model: Model, data: Dataset, takes: Sequence[str], meant: Field | None, device: str) -> None:
        self.model, self.data, self.takes = model, data, takes
        self.images = [name for name in normalised_leaves(data) if name in takes]
        self.device, self.dtype = device, dtypes_of(model.module)[0]
        self.open: list[Open] = pair(model.outputs, data.targets, scale="probabilities", meant=meant)
        self.tasks: list[Task] = []
        if not any(output.target for output in self.open):
            outputs = ", ".join(f"{name} ({field})" for name, field in model.outputs.items())
            targets = ", ".join(f"{name} ({field})" for name, field in data.targets.items())
            remedy = "Declare outputs: in the model's entry, or call one as the target is called."
            raise ModelError(
                Problem(model.name, f"none of its outputs {outputs} meets a target of {targets}", None, remedy)
            )

    def __call__(self, leaves: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch, to be differentiated.

        Raises:
            ModelError: the model returned something else than was declared, or what no target can be held against.
        """
        inputs = {name: self._given(name, leaves[name]) for name in self.takes}
        try:
            returned = handed(self.model.module, inputs)
        except RuntimeError as error:
            raise self.model.failed(error, inputs, self.images) from error
        outputs = self.model.read(returned, len(next(iter(inputs.values()))))
        wanted = {name: target.to(self.device) for name, target in targets.items()}
        masks = {name: x.to(self.device) for name, x in leaves.items() if x.dtype == torch.bool}
        with fitting(self.model.name):
            return self._summed(outputs, wanted, masks)

    def _given(self, name: str, values: Tensor) -> Tensor:
        """A leaf as the model takes it: on its device, normalised, in the dtype of its inputs."""
        moved = values.to(self.device, self.dtype) if values.is_floating_point() else values.to(self.device)
        return self.model.normalisation(moved) if name in self.images else moved

    def _summed(self, outputs: Tensors, targets: Tensors, masks: Tensors) -> Tensor:
        if not self.tasks:
            found = [output.of(tuple(outputs[output.output].shape[1:])) for output in self.open if output.target]
            key = self.model.seen.key if len(self.open) == 1 else None
            self.tasks = [replace(task, key=key).at_first(outputs[task.output].detach()) for task in found]
        losses = []
        for task in self.tasks:
            output, target = outputs[task.output], targets[task.target or ""]
            task.check_target(tuple(output.shape[1:]), target)
            losses.append(task.loss(*self._real(task, output, target, masks)))
        return torch.stack(losses).sum()

    def _real(self, task: Task, output: Tensor, target: Tensor, masks: Tensors) -> tuple[Tensor, Tensor]:
        """An output and its target without padding: ``(places of all samples, ...)`` where some is."""
        field = self.data.targets[task.target or ""]
        real = real_places(output, field.axes if field.grid is None else (), masks)
        return (output, target) if real is None else (output[real], target[real])
