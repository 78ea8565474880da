"""Samples moved by an element each: augmentation, and what softening compares a model's outputs under."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symbench.algebra.actions.base import ready
from symbench.algebra.fields import Category, Classes, MultiLabel
from symbench.algebra.groups.base import Group, PermutesPlaces
from symbench.base.code import foreign
from symbench.base.errors import DataError
from symbench.domains.common.datasets.base import Dataset, Valid
from symbench.domains.common.datasets.targets import present
from symbench.measure.assemble import Prepared, seed_for

TRIES = 100
"""Elements that are drawn for a sample until one keeps its label; then it is left as it is."""
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Augmentation:
    """Which element moves each sample that is shown.

    Attributes:
        symmetry: whose group they are of.
        share: with which probability a sample is moved at all.
        alike: where every replica is to draw the same: what seeds the draws then, a sample's in each epoch apart.
    """

    symmetry: Prepared
    share: float = 1.0
    alike: tuple[int, str] | None = None

    def elements(
        self, data: Dataset, targets: Mapping[str, Tensor], indices: Tensor, epoch: int, generator: torch.Generator
    ) -> Tensor:
        """An element for each sample, ``(n, ...)``, the identity for those that are not moved.

        Raises:
            DataError: the dataset's rule of labels raised.
        """
        if self.alike is None:
            return elements(data, targets, indices, self.symmetry, generator, share=self.share)
        # By sample and not by its place in the batch: replicas have batches of their own, and the same draws for
        # other samples would be draws of their own.
        seed, key = self.alike
        found = []
        for number, index in enumerate(indices.tolist()):
            own = torch.Generator().manual_seed(seed_for(seed, "augmentation", key, str(epoch), str(index)))
            target = {name: values[number : number + 1] for name, values in targets.items()}
            found.append(elements(data, target, indices[number : number + 1], self.symmetry, own, share=self.share))
        return torch.cat(found)


def augmented(
    data: Dataset,
    leaves: Tensors,
    targets: Tensors,
    indices: Tensor,
    augment: Augmentation | None,
    generator: torch.Generator,
    *,
    epoch: int = 0,
) -> tuple[Tensors, Tensors]:
    """Samples moved by an element each, and their targets by the same: forces turn with the positions.

    No element changes a sample's label: a 6 upside down is no 6 to be learnt.

    Args:
        data: says what keeps a label, and what is padding.
        leaves: ``(n, ...)`` each.
        targets: likewise.
        indices: which samples these are, ``(n,)``.
        augment: the symmetry, and how it is drawn from; None leaves everything as it is.
        generator: draws the elements.
        epoch: the number of the pass through the data.

    Raises:
        DataError: the dataset's rule of labels raised.
        ConfigError: nobody says how a target moves.
    """
    if augment is None:
        return leaves, targets
    drawn = augment.elements(data, targets, indices, epoch, generator)  # (n, ...), one element for each sample
    return shown_under(data, leaves, targets, augment.symmetry, drawn)


def shown_under(
    data: Dataset, leaves: Tensors, targets: Tensors, symmetry: Prepared, drawn: Tensor
) -> tuple[Tensors, Tensors]:
    """Samples and their targets, ``(n, ...)`` each, moved by an element each, ``(n, ...)``.

    Raises:
        ConfigError: nobody says how a target moves.
    """
    along = {name: symmetry.action_on(data.targets[name], f"target {name}") for name in targets}
    moved_targets = {name: along[name].cropped(along[name].act(drawn[None], x)[0]) for name, x in targets.items()}
    return moved(data, leaves, symmetry, drawn), moved_targets


def moved(data: Dataset, leaves: Tensors, symmetry: Prepared, drawn: Tensor) -> Tensors:
    """Leaves ``(n, ...)`` moved by an element each, ``(n, ...)``."""
    actions = symmetry.actions
    cast = {name: x.double() if symmetry.is_computed(name, data.fields[name]) else x for name, x in leaves.items()}
    return {
        name: actions[name].finish(actions[name].act(drawn[None], x)[0]) for name, x in ready(actions, cast).items()
    }


def elements(
    data: Dataset,
    targets: Mapping[str, Tensor],
    indices: Tensor,
    symmetry: Prepared,
    generator: torch.Generator,
    *,
    share: float = 1.0,
) -> Tensor:
    """An element for each sample that keeps its label, ``(n, ...)``; with a share below 1 the identity for the rest.

    Raises:
        DataError: the dataset's rule of labels raised.
    """
    drawn = _drawn(data, symmetry, indices, generator)
    labels = _labels(data, targets)
    if labels is not None and data.valid is not None:
        drawn = _kept(
            drawn, symmetry.group, labels, data.valid, lambda some: _drawn(data, symmetry, indices[some], generator)
        )
    if share < 1:  # nothing is drawn for 1, of which recipes know that say no share
        left = torch.rand(len(indices), generator=generator) >= share
        drawn = drawn.clone()
        drawn[left] = symmetry.group.identity()
    return drawn


def _drawn(data: Dataset, symmetry: Prepared, indices: Tensor, generator: torch.Generator) -> Tensor:
    """An element for each sample; where samples have places in different numbers, one that leaves padding alone."""
    sizes, group = data.sizes.get(symmetry.lookup.moved), symmetry.group
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
