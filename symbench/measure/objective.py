"""What training lowers: the loss of every task of a model, added up; and how many samples it has right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from symbench.algebra.comparison import real_places
from symbench.algebra.fields import Field, mask_of
from symbench.base.errors import ModelError, Problem
from symbench.domains.common.datasets.base import Dataset
from symbench.domains.common.models.base import Model
from symbench.domains.common.models.running import dtypes_of, handed
from symbench.measure.assemble import normalised_leaves
from symbench.measure.tasks import Open, Task, fitting, pair

Tensors = dict[str, Tensor]
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Objective:
    """The loss of a model's outputs: each task's own, added up over the tasks that have a target.

    The first batch says how many numbers an output has and which form its scores are in, and that holds for all.
    Without labels there is no such loss, and the outputs are directions.

    Args:
        model: whose outputs meet the targets by name.
        data: what it learns from.
        takes: the leaves that it takes, in its order.
        meant: the field of the targets that the model was made for, where that is known.
        device: where.
        labelled: whether outputs are to meet the targets; else they are embeddings, and no target is looked at.
        weights: what the loss of a target is multiplied by; 1 for those that are not named.
        per: the axis by whose places a target and its output are divided, sample by sample.
        dice: what the soft Dice loss of maps of classes is multiplied by, beside their cross-entropy.

    Raises:
        ModelError: no output meets a target.
    """

    def __init__(
        self,
        model: Model,
        data: Dataset,
        takes: Sequence[str],
        meant: Field | None,
        device: str,
        *,
        labelled: bool = True,
        weights: Mapping[str, float] = NOTHING,
        per: Mapping[str, str] = NOTHING,
        dice: float = 0.0,
    ) -> None:
        self.model, self.data, self.takes = model, data, takes
        self.weights, self.per, self.dice = weights, per, dice
        self.images = [name for name in normalised_leaves(data) if name in takes]
        self.device, self.dtype = device, dtypes_of(model.module)[0]
        self.labelled = labelled
        wanted = data.targets if labelled else {}
        self.open: list[Open] = pair(model.outputs, wanted, scale="probabilities", meant=meant)
        self.tasks: list[Task] = []
        self.shapes: list[tuple[int, ...]] = []
        if labelled and not any(output.target for output in self.open):
            outputs = ", ".join(f"{name} ({field})" for name, field in model.outputs.items())
            targets = ", ".join(f"{name} ({field})" for name, field in data.targets.items())
            remedy = "Declare outputs: in the model's entry, or call one as the target is called."
            raise ModelError(
                Problem(model.name, f"none of its outputs {outputs} meets a target of {targets}", None, remedy)
            )
        for each in self.open:
            if labelled and each.target_field is not None and each.target_field.value.unordered:
                got = f"target {each.target!r} is of sets of objects, from which nothing is learnt here"
                remedy = "Leave train: out of its entry, and say pretrained: or weights: instead."
                raise ModelError(Problem(model.name, got, "a detector that comes trained", remedy))

    def __call__(self, leaves: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch, to be differentiated.

        Raises:
            ModelError: the model returned something else than was declared, or what no target can be held against.
        """
        return self.loss(self.outputs(leaves), leaves, targets)

    def outputs(self, leaves: Mapping[str, Tensor]) -> Tensors:
        """What is learnt of a batch, each output ``(n, ...)``, with its graph; without labels it has length 1.

        Raises:
            ModelError: as :meth:`returned`.
        """
        found = self.returned(leaves)
        return found if self.labelled else {name: normalize(output, dim=-1) for name, output in found.items()}

    def returned(self, leaves: Mapping[str, Tensor]) -> Tensors:
        """What the model returns for a batch, each output ``(n, ...)``, with its graph.

        Raises:
            ModelError: the model raised, or returned something else than was declared.
        """
        inputs = self.given(leaves)
        try:
            returned = handed(self.model.module, inputs)
        except RuntimeError as error:
            raise self.model.failed(error, inputs, self.images) from error
        return self.model.read(returned, len(next(iter(inputs.values()))))

    def given(self, leaves: Mapping[str, Tensor]) -> Tensors:
        """What the model is handed for a batch: the leaves that it takes, on the device, images normalised."""
        return {name: self._given(name, leaves[name]) for name in self.takes}

    def loss(self, outputs: Tensors, leaves: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch by what the model returned for it.

        Raises:
            ModelError: no target can be held against that.
        """
        wanted = {name: target.to(self.device) for name, target in targets.items()}
        with fitting(self.model.name):
            return self._summed(outputs, wanted, leaves)

    def task_of(self, outputs: Tensors) -> Task:
        """The task of the only output, of which there are some.

        Raises:
            ModelError: it cannot be what it is taken for.
        """
        with fitting(self.model.name):
            self._notice(outputs)
        return self.tasks[0]

    def masks(self, leaves: Mapping[str, Tensor]) -> Tensors:
        """The leaves that say what is no padding, on the device."""
        return {name: x.to(self.device) for name, x in leaves.items() if x.dtype == torch.bool}

    def unpadded(self, task: Task, output: Tensor, target: Tensor, masks: Tensors) -> tuple[Tensor, Tensor]:
        """An output and its target without padding: ``(places of all samples, ...)`` where some is."""
        field = self.data.targets[task.target or ""]
        real = real_places(output, field.axes if field.grid is None else (), masks)
        return (output, target) if real is None else (output[real], target[real])

    def divided(
        self, task: Task, output: Tensor, target: Tensor, leaves: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """An output and its target ``(n, ...)``, each sample over its number of places where the recipe says so."""
        axis = self.per.get(task.target or "")
        if axis is None:
            return output, target
        count = places_of(axis, self.data.fields, leaves).to(self.device)
        over, shape = count.to(output.dtype), (-1, *(1,) * (output.ndim - 1))
        return output / over.view(shape), target / over.view(-1, *(1,) * (target.ndim - 1))

    def right(self, outputs: Tensors, targets: Mapping[str, Tensor]) -> float | None:
        """How many samples of a batch the first task that tells classes has right; None where none of them does.

        Of maps of classes it is the sum of what share of each sample's labelled places is right.
        """
        for task in self.tasks:
            if task.target is None:
                continue
            share = task.right_share(outputs[task.output].detach(), targets[task.target or ""])
            if share is not None:
                return float(share.sum())
            predicted = task.averaged(task.compared(outputs[task.output].detach())) if task.scores else None
            if predicted is not None:
                return int((predicted == targets[task.target or ""].to(predicted.device)).sum())
        return None

    def noticed(self) -> list[dict[str, Any]]:
        """What the first batch showed of each task, as plain data."""
        return [
            {"shape": list(shape), "form": task.form, "said": task.said, "doubted": task.doubted, "key": task.key}
            for task, shape in zip(self.tasks, self.shapes, strict=True)
        ]

    def take_over(self, noticed: Sequence[Mapping[str, Any]]) -> None:
        """Know what :meth:`noticed` said of an earlier part of the same training, instead of looking anew.

        A model that has learnt something may look otherwise than it did at first.
        """
        self.shapes = [tuple(known["shape"]) for known in noticed]
        self.tasks = [
            replace(output.of(shape), **{key: known[key] for key in ("form", "said", "doubted", "key")})
            for output, shape, known in zip(self._paired(), self.shapes, noticed, strict=True)
        ]

    def _paired(self) -> list[Open]:
        return [output for output in self.open if output.target or not self.labelled]

    def _given(self, name: str, values: Tensor) -> Tensor:
        """A leaf as the model takes it: on its device, normalised, in the dtype of its inputs."""
        moved = values.to(self.device, self.dtype) if values.is_floating_point() else values.to(self.device)
        return self.model.normalisation(moved) if name in self.images else moved

    def _notice(self, outputs: Tensors) -> None:
        """Keep what the first batch shows."""
        if self.tasks:
            return
        paired = self._paired()
        self.shapes = [tuple(outputs[output.output].shape[1:]) for output in paired]
        found = [output.of(shape) for output, shape in zip(paired, self.shapes, strict=True)]
        key = self.model.seen.key if len(self.open) == 1 else None
        self.tasks = [replace(task, key=key).at_first(outputs[task.output].detach()) for task in found]

    def _summed(self, outputs: Tensors, targets: Tensors, leaves: Mapping[str, Tensor]) -> Tensor:
        self._notice(outputs)
        losses, masks = [], self.masks(leaves)
        for task in self.tasks:
            output, target = outputs[task.output], targets[task.target or ""]
            task.check_target(tuple(output.shape[1:]), target)
            output, target = self.divided(task, output, target, leaves)
            output, target = self.unpadded(task, output, target, masks)
            loss = task.loss(output, target)
            if self.dice and (overlap := task.overlap_loss(output, target)) is not None:
                loss = loss + self.dice * overlap
            losses.append(self.weights.get(task.target or "", 1.0) * loss)
        return torch.stack(losses).sum()


def places_of(axis: str, fields: Mapping[str, Field], leaves: Mapping[str, Tensor]) -> Tensor:
    """How many places of an axis each sample of a batch has, ``(n,)``: those that are no padding.

    Args:
        axis: of a leaf.
        fields: of the leaves.
        leaves: ``(n, ...)`` each.
    """
    if mask_of(axis) in leaves:
        return leaves[mask_of(axis)].sum(1)
    leaf = next(name for name, field in fields.items() if axis in field.axes and name in leaves)
    length = dict(fields[leaf].lengths(leaves[leaf].shape[1:]))[axis]
    return torch.full((len(leaves[leaf]),), length or 0)
