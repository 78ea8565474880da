"""What a model that is trained here is trained on, and how: its training split and its recipe's document."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from symbench.algebra.fields import Category, Classes, MultiLabel
from symbench.base.errors import ConfigError, DataError, Problem, near_miss, one_of, quoted
from symbench.domains.common.models import MODELS
from symbench.domains.common.models.inputs import fed
from symbench.measure import assemble
from symbench.measure.assemble import Prepared
from symbench.measure.plan.data import Data
from symbench.measure.plan.draft import Draft
from symbench.measure.plan.widths import settle_width
from symbench.measure.suite import Recipe
from symbench.measure.training.self_supervised import check_embedding
from symbench.measure.training.soften import check_outputs
from symbench.measure.training.subsets import parts_of


def plan_training(draft: Draft, name: str) -> None:
    """Load what a model is trained on, once for all models, choose its width, and keep its recipe's document.

    Raises:
        ConfigError: the model cannot be trained on it.
        DataError: it cannot be read.
    """
    suite = draft.workspace.suite
    recipe = suite.models[name].train
    if recipe is None:
        return
    data = training_split(draft, recipe.on)
    where = suite.where("models", name, "train", "on")
    use = suite.models[name].use
    if ":" not in use and fed(MODELS.row(use), data.dataset.fields) is None:
        fields = ", ".join(f"{leaf} ({field})" for leaf, field in data.dataset.fields.items())
        expected = "a dataset with its fields" + (", of samples of one size" if MODELS.row(use).one_size else "")
        raise ConfigError(Problem(where, f"{use} cannot be trained on {recipe.on}: {fields}", expected))
    unlabelled = recipe.self_supervised is not None
    if not data.dataset.targets and not unlabelled:
        raise ConfigError(Problem(where, f"{recipe.on} has no labels", "a dataset to train on that has"))
    tested = draft.workspace.data.get(recipe.on)
    if recipe.validation is not None and tested is not None and tested.digest == data.digest:
        got = f"{recipe.on} gives the same samples to learn from and to test on, so that validation would be of"
        raise ConfigError(Problem(where, f"{got} the test set", "a training split of its own"))
    _check_samples(draft, name, recipe, data)
    _check_loss(recipe, data, partial(suite.where, "models", name, "train"))
    prepared = {key: _symmetry(draft, name, recipe, key, data) for key in recipe.symmetries}
    documents: dict[str, dict[str, Any]] = {}
    for key, each in prepared.items():
        # any element may be drawn; without labels no rule of theirs is asked
        rule = None if unlabelled else assemble.rule_document(recipe.on, data.dataset, each)
        documents[key] = {**each.document, "valid": rule}
    if recipe.augment is not None and recipe.augment.share != 1:
        documents["augment"]["share"] = recipe.augment.share
    if recipe.augment is not None and recipe.augment.every:
        _check_every(prepared["augment"], data, suite.where("models", name, "train", "augment", "every"))
        documents["augment"]["every"] = True
    if recipe.soften is not None:
        documents["soften"]["weight"] = recipe.soften.weight
    if recipe.self_supervised is not None:
        options = recipe.self_supervised.model_dump(exclude={"views"})
        documents["self_supervised"] |= {**options, "share": recipe.self_supervised.views.share}
    settle_width(draft, name, [recipe.on])
    draft.recipes[name] = {
        **assemble.recipe_document(draft.workspace.suite, name, data.digest, documents),
        **data.declared,
    }


def training_split(draft: Draft, name: str) -> Data:
    """The training split of a dataset, loaded once for all models.

    Raises:
        ConfigError: it has none.
        DataError: it cannot be read.
    """
    suite, training = draft.workspace.suite, draft.workspace.training
    if name not in training:
        dataset = assemble.load_dataset(suite, name, split="train", listen=draft.listen)
        training[name] = Data.for_training(dataset, suite.where("datasets", name))
        training[name].tell(draft.listen)
    broken = training[name].broken
    if broken is not None:
        raise broken
    return training[name]


def _check_samples(draft: Draft, name: str, recipe: Recipe, data: Data) -> None:
    """Refuse more samples than there are, parts without any, and a share of right answers where there are no classes.

    Raises:
        ConfigError: with the key.
    """
    suite = draft.workspace.suite
    key = "validation" if recipe.samples is None else "samples"
    where = suite.where("models", name, "train", key)
    try:
        parts_of(data.dataset, data.digest, recipe, seed=suite.seed, where=where)
    except DataError as error:
        raise ConfigError(error.problems) from error
    target = next(iter(data.dataset.targets.values()), None)
    if recipe.target is not None and (target is None or not isinstance(target.value, (Category, Classes))):
        got = f"got a share of right answers for a target that is {target}"
        remedy = "Take target out: the curve has the validation loss of each epoch."
        raise ConfigError(Problem(suite.where("models", name, "train", "target"), got, "a target of classes", remedy))


def _check_loss(recipe: Recipe, data: Data, where: Callable[..., str]) -> None:
    """Refuse weights of no target, or all of them 0, and numbers of places that a target cannot be divided by.

    Raises:
        ConfigError: with the key.
    """
    targets, weights, per = data.dataset.targets, recipe.loss_weights or {}, recipe.loss_per or {}
    for key, named in (("loss_weights", weights), ("loss_per", per)):
        for target in named:
            if target not in targets:
                got = f"got {quoted(target)}, which is no target of {recipe.on}"
                raise ConfigError(Problem(where(key), got, f"one of {one_of(targets)}", near_miss(target, targets)))
    if targets and not any(weights.get(target, 1.0) for target in targets):
        got = f"got 0 for each target of {recipe.on}, so that there is nothing to learn"
        raise ConfigError(Problem(where("loss_weights"), got, "a number above 0 for one of them"))
    maps = any(field.grid is not None and isinstance(field.value, (Category, Classes)) for field in targets.values())
    if "dice" in recipe.model_fields_set and not maps:
        got = f"got dice for {recipe.on}, whose targets are no maps of classes"
        raise ConfigError(Problem(where("dice"), got, None, "Take dice out."))
    axes = dict.fromkeys(axis for field in data.dataset.fields.values() for axis in field.axes)
    for target, axis in per.items():
        if axis not in axes:
            got = f"got {quoted(axis)}, along which {recipe.on} has no leaf"
            raise ConfigError(
                Problem(where("loss_per", target), got, f"one of {one_of(axes)}", near_miss(axis, axes))
            )
        if isinstance(targets[target].value, (Category, Classes, MultiLabel)):
            got = f"got {target}, whose classes cannot be divided by how many {axis} a sample has"
            raise ConfigError(Problem(where("loss_per", target), got, "a target of numbers"))


def _symmetry(draft: Draft, name: str, recipe: Recipe, key: str, data: Data) -> Prepared:
    """The symmetry under a key of the recipe, built for the training split.

    Raises:
        ConfigError: it cannot move what is trained on.
    """
    suite, symmetry = draft.workspace.suite, recipe.symmetries[key]
    where = suite.where("models", name, "train", key)
    if suite.symmetries[symmetry].on not in data.dataset.fields:
        got = f"{recipe.on} has no leaf for {symmetry}"
        raise ConfigError(Problem(where, got, "a symmetry on one of its leaves"))
    if suite.symmetries[symmetry].options.get("margin"):
        raise ConfigError(Problem(where, f"{symmetry} crops", "a symmetry that keeps the frame"))
    return assemble.prepare(suite, symmetry, data.dataset, data.shapes(suite.models[name].size))


def _check_every(symmetry: Prepared, data: Data, where: str) -> None:
    """Refuse full augmentation by a group that cannot be listed, or whose elements would move padding.

    Raises:
        ConfigError: with why.
    """
    if symmetry.group.count is None:
        got = f"{symmetry.group.name} has elements without an end, or too many to list"
        raise ConfigError(Problem(where, got, "a small finite group", "Take every out, and name another optimiser."))
    if data.dataset.sizes.get(symmetry.lookup.moved) is not None:
        got = f"samples have places in different numbers, and {symmetry.group.name} would move their padding"
        raise ConfigError(Problem(where, got, "samples of one size"))


def check_recipe(draft: Draft, name: str, module: nn.Module) -> None:
    """Refuse a recipe without labels for a module of anything but an embedding, and one that softens the loss by a
    symmetry without an action on an output.

    Raises:
        ConfigError: with the output.
    """
    suite, entry = draft.workspace.suite, draft.workspace.suite.models[name]
    if entry.train is not None and entry.train.self_supervised is not None:
        where = suite.where("models", name, "train", "self_supervised")
        check_embedding(entry, module, "training without labels", where)
    if entry.train is None or entry.train.soften is None:
        return
    data = draft.workspace.training[entry.train.on]
    prepared = _symmetry(draft, name, entry.train, "soften", data)
    check_outputs(prepared, entry, module, data.dataset, suite.where("models", name, "train", "soften"))


def origin(draft: Draft, name: str) -> dict[str, Any]:
    """What a recipe says of the code that is trained, and of the weights that training starts from."""
    source = draft.known[name].identity
    return {"origin": draft.origins[name, ""], **({} if source is None else {"source": source})}
