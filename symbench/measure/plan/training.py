"""What a model that is trained here is trained on, and how: its training split and its recipe's document."""

from __future__ import annotations

from typing import Any

from symbench.base.errors import ConfigError, Problem
from symbench.domains.common.models import MODELS
from symbench.domains.common.models.inputs import takes
from symbench.measure import assemble
from symbench.measure.plan.data import Data
from symbench.measure.plan.draft import Draft
from symbench.measure.plan.widths import settle_width


def plan_training(draft: Draft, name: str) -> None:
    """Load what a model is trained on, once for all models, choose its width, and keep its recipe's document.

    Raises:
        ConfigError: the model cannot be trained on it.
        DataError: it cannot be read.
    """
    suite, training = draft.workspace.suite, draft.workspace.training
    recipe = suite.models[name].train
    if recipe is None:
        return
    if recipe.on not in training:
        dataset = assemble.load_dataset(suite, recipe.on, split="train", listen=draft.listen)
        training[recipe.on] = Data.for_training(dataset, suite.where("datasets", recipe.on))
        training[recipe.on].tell(draft.listen)
    data = training[recipe.on]
    if data.broken is not None:
        raise data.broken
    where = suite.where("models", name, "train", "on")
    use = suite.models[name].use
    if ":" not in use and takes(MODELS.row(use).inputs, data.dataset.fields) is None:
        fields = ", ".join(f"{leaf} ({field})" for leaf, field in data.dataset.fields.items())
        raise ConfigError(
            Problem(where, f"{use} cannot be trained on {recipe.on}: {fields}", "a dataset with its fields")
        )
    if not data.dataset.targets:
        raise ConfigError(Problem(where, f"{recipe.on} has no labels", "a dataset to train on that has"))
    augment = None
    if recipe.augment is not None:
        if suite.symmetries[recipe.augment].on not in data.dataset.fields:
            raise ConfigError(
                Problem(where, f"{recipe.on} has no leaf for {recipe.augment}", "a symmetry on one of its leaves")
            )
        if suite.symmetries[recipe.augment].options.get("margin"):
            raise ConfigError(Problem(where, f"{recipe.augment} crops", "a symmetry that keeps the frame"))
        prepared = assemble.prepare(suite, recipe.augment, data.dataset, data.shapes(suite.models[name].size))
        rule = assemble.rule_document(recipe.on, data.dataset, prepared)  # any element may be drawn
        augment = {**prepared.document, "valid": rule}
    settle_width(draft, name, [recipe.on])
    draft.recipes[name] = assemble.recipe_document(draft.workspace.suite, name, data.digest, augment)


def origin(draft: Draft, name: str) -> dict[str, Any]:
    """What a recipe says of the code that is trained, and of the weights that training starts from."""
    source = draft.known[name].identity
    return {"origin": draft.origins[name, ""], **({} if source is None else {"source": source})}
