"""What a training takes of the disk: its checkpoint, and while it goes on the state that it can be resumed from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from symbench.measure.suite import Recipe

SLOTS = {"adamw": 2, "adam": 2}
"""Numbers that an optimiser keeps for each weight; SGD keeps one where it has momentum, and else none."""

ORDER = 8
"""Bytes of a sample's number."""


@dataclass(frozen=True)
class Disk:
    """Bytes of a training's files, without their headers of some kilobytes.

    Attributes:
        checkpoint: of the weights, which stay.
        state: of what goes again once the training is done: weights, the best ones, and the optimiser's; of all
            replicas that the recipe has trained together, if their networks can be.
    """

    checkpoint: int
    state: int


def disk_of(recipe: Recipe, module: nn.Module, samples: int) -> Disk:
    """The bytes of a recipe's files.

    Args:
        recipe: names the optimiser, and whether the best weights are kept.
        module: as it is before training.
        samples: of an epoch, whose order is part of the state.
    """
    weights = _bytes(module.state_dict().values())
    learnt = _bytes(p for p in module.parameters() if p.requires_grad)
    slots = SLOTS.get(recipe.optimiser, 1 if recipe.momentum else 0)
    copies = 1 if recipe.stop is None else 2
    replicas = max(1, len(recipe.block))
    return Disk(weights, replicas * (copies * weights + slots * learnt + ORDER * samples))


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(each.numel() * each.element_size() for each in tensors)
