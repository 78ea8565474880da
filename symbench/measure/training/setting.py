"""What a training stands on: its recipe with everything that the recipe names, and the seeds of its draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from symbench.base.errors import ModelError, Problem, one_of
from symbench.domains.common.datasets.base import Dataset
from symbench.measure.assemble import inputs_of, prepare, ready, seed_for
from symbench.measure.objective import Objective
from symbench.measure.plan.workspace import Workspace
from symbench.measure.store import content_key
from symbench.measure.suite import Recipe
from symbench.measure.training.augment import Augmentation
from symbench.measure.training.batches import Reader, read_again, read_anew
from symbench.measure.training.self_supervised import Contrast
from symbench.measure.training.soften import Softening
from symbench.measure.training.subsets import Parts, parts_of


@dataclass(frozen=True)
class Setting:
    """Everything of a training that stays as it is while it goes on.

    Attributes:
        name: the model's.
        recipe: its recipe.
        data: the training split.
        parts: the samples of it.
        read: gives the samples of a batch.
        augment: how they are moved, if they are.
        soften: how the loss is softened, if it is.
        contrast: the loss where no labels are learnt from.
        drawing: the seed of the order of samples, and of elements.
        dropout: the seed of torch's own generator, which dropout draws from.
    """

    name: str
    recipe: Recipe
    data: Dataset
    parts: Parts
    read: Reader
    augment: Augmentation | None
    soften: Softening | None
    contrast: Contrast | None
    drawing: int
    dropout: int

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self.parts.learnt) / self.recipe.batch)

    @property
    def planned(self) -> int:
        """Steps that the schedule is made for."""
        return self.recipe.steps or self.batches * (self.recipe.epochs or 0)


def setting_of(space: Workspace, name: str, like: Setting | None = None) -> Setting:
    """The setting of a model's training.

    Args:
        space: holds the recipe and the training split.
        name: the model's.
        like: of another replica. Samples that both learn from are then in memory once.

    Raises:
        DataError: the training split has too few samples that can be read.
    """
    suite, entry = space.suite, space.suite.models[name]
    recipe = entry.train
    if recipe is None:
        raise ValueError(f"{name} is not trained")
    known, seed = space.training_of(recipe.on), suite.seed
    data = known.dataset
    document = _of_draws(space.plan.recipes[name])
    key = content_key(document)
    parts = parts_of(data, known.digest, recipe, seed=seed, where=name)
    prepared = {
        part: prepare(suite, symmetry, data, known.shapes(entry.size)) for part, symmetry in recipe.symmetries.items()
    }
    augment = soften = contrast = None
    if recipe.augment is not None:
        alike = (seed, _of_any_seed(document)) if recipe.shared_draws else None
        augment = Augmentation(prepared["augment"], recipe.augment.share, alike)
    if recipe.soften is not None:
        soften = Softening(prepared["soften"], recipe.soften.weight)
    if recipe.self_supervised is not None:
        views = Augmentation(prepared["self_supervised"], recipe.self_supervised.views.share)
        contrast = Contrast(views, recipe.self_supervised.temperature)
    if known.anew:
        read = read_anew(data, entry, seed, key)
    else:
        shared = like is not None and torch.equal(like.parts.used, parts.used)
        read = like.read if like is not None and shared else read_again(data, entry, parts.used)
    drawing, dropout = seed_for(seed, "training", key), seed_for(seed, "dropout", key)
    return Setting(name, recipe, data, parts, read, augment, soften, contrast, drawing, dropout)


def _of_draws(document: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's document without what its draws do not depend on.

    Another version of the code learns from the same draws, and is so compared more closely; and so does a replica
    that is trained together with others.
    """
    recipe = {part: value for part, value in document["recipe"].items() if part != "together"}
    return {**{part: value for part, value in document.items() if part != "origin"}, "recipe": recipe}


def _of_any_seed(document: Mapping[str, Any]) -> str:
    """The key of a recipe and all its replicas."""
    recipe = {part: value for part, value in document["recipe"].items() if part != "seed"}
    return content_key({**document, "recipe": recipe})


def objective_of(space: Workspace, setting: Setting, module: nn.Module, device: str) -> Objective:
    """What the module is to lower; it is moved to the device, and left in training mode.

    Raises:
        ModelError: it takes none of the leaves, or no output meets a target.
    """
    name, recipe, data = setting.name, setting.recipe, setting.data
    entry = space.suite.models[name]
    model = ready(module, entry, name, device=device, fields=data.fields)
    taken = inputs_of(entry, name, module, data.fields)
    if taken is None:
        raise ModelError(Problem(name, f"takes none of the leaves {one_of(map(repr, data.fields))} of {recipe.on}"))
    labelled = setting.contrast is None
    objective = Objective(
        model,
        data,
        taken,
        space.meant_for(name),
        device,
        labelled=labelled,
        weights=recipe.loss_weights or {},
        per=recipe.loss_per or {},
        dice=recipe.dice,
    )
    module.train()  # as it was made ready, it was set to be measured
    return objective
