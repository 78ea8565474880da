"""The optimiser of a recipe, and the schedule of its learning rate."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from symbench.measure.suite import Recipe


def optimiser_of(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """AdamW (Loshchilov & Hutter, 2019), Adam (Kingma & Ba, 2015) or SGD with momentum.

    ``weight_decay`` is decoupled from the gradient in AdamW, and an L2 penalty that is part of it in the others.
    """
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return SGD(parameters, lr=rate, weight_decay=decay, momentum=recipe.momentum or 0.0)
    kind = AdamW if recipe.optimiser == "adamw" else Adam
    return kind(parameters, lr=rate, weight_decay=decay)


def schedule_of(recipe: Recipe, optimiser: Optimizer, steps: int) -> LRScheduler:
    """The rate over all steps: one cycle up to ``learning_rate`` and down, half a cosine down from it, or constant.

    One cycle is Smith & Topin's (2018) as torch has it, which also lowers Adam's first mean's factor while the rate
    is high. A momentum that the recipe names stays what it is. Of no steps there is nothing to schedule.
    """
    if not steps:
        return LambdaLR(optimiser, lambda step: 1.0)
    if recipe.schedule == "one-cycle":
        cycled = recipe.optimiser != "sgd"
        return OneCycleLR(optimiser, recipe.learning_rate, total_steps=steps, cycle_momentum=cycled)
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimiser, T_max=steps)
    return LambdaLR(optimiser, lambda step: 1.0)
