"""Cells with their keys: data loaded, elements drawn, models built once to see that they can be."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from symbench import assemble
from symbench.assemble import Prepared
from symbench.datasets.base import Dataset
from symbench.errors import ConfigError, ModelError, Problem, SymbenchError
from symbench.fields import Image
from symbench.models import MODELS
from symbench.plan.pairs import Pair
from symbench.store import content_key
from symbench.suite import Suite, code_of

VERSIONS = {"evaluate": 1, "order": 1}
"""Raised when the numbers of an evaluation change: part of every key."""


@dataclass(frozen=True)
class Cell:
    """One cell, resolved: the unit that is cached and compared."""

    pair: Pair
    key: str
    identity: dict[str, Any]


@dataclass
class Plan:
    """Everything that a run needs to know beforehand.

    Attributes:
        suite: the suite.
        cells: in the order in which they will run, model by model.
        datasets: loaded, by name.
        training: training splits, by the name of the dataset.
        prepared: symmetries by (symmetry, dataset, size).
        recipes: the recipe's document of every model that is trained.
        broken: models that cannot be built, with the reason.
    """

    suite: Suite
    cells: list[Cell] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    training: dict[str, Dataset] = field(default_factory=dict)
    prepared: dict[tuple[str, str, int | None], Prepared] = field(default_factory=dict)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: dict[str, SymbenchError] = field(default_factory=dict)

    def symmetry_of(self, cell: Cell) -> Prepared:
        """The symmetry of a cell, built for its dataset and the model's canvas."""
        size = self.suite.models[cell.pair.model].size
        return self.prepared[cell.pair.symmetry, cell.pair.dataset, size]


def resolve(
    suite: Suite, chosen: Sequence[Pair], *, device: str, limit: int | None = None, trust_pickle: bool = False
) -> Plan:
    """Load what the cells need and give each its key. Nothing is written and no model is run.

    Args:
        suite: the suite.
        chosen: its cells, from :func:`pairs`.
        device: where it will run; the kind of device is part of the key.
        limit: take only the first samples of each dataset's order.
        trust_pickle: let weights be pickles that may run code.

    Raises:
        ConfigError: data, weights or code cannot be had, or a group cannot act on what was loaded.
    """
    plan = Plan(suite)
    for name in dict.fromkeys(pair.dataset for pair in chosen):
        plan.datasets[name] = assemble.load_dataset(suite, name)
    digests = {name: dataset.digest() for name, dataset in plan.datasets.items()}
    for model in dict.fromkeys(pair.model for pair in chosen):
        mine = [pair for pair in chosen if pair.model == model]
        module = _built(plan, model, mine, trust_pickle=trust_pickle)
        for pair in mine:
            if _fits_loaded(plan, pair, module):
                plan.cells.append(_cell(plan, pair, digests[pair.dataset], device=device, limit=limit))
    if not plan.cells:
        raise ConfigError(
            Problem(
                "the suite",
                "no model takes the leaves of any dataset",
                "a model whose inputs are the dataset's fields",
            )
        )
    return plan


def _built(plan: Plan, name: str, mine: list[Pair], *, trust_pickle: bool) -> nn.Module | None:
    """Build the model once, to see that it can be: names, weights and shapes; remember it as broken if not."""
    suite = plan.suite
    entry = suite.models[name]
    assemble.weights_digest(suite, name)
    if entry.train is not None:
        if entry.train.on not in plan.training:
            plan.training[entry.train.on] = assemble.load_dataset(suite, entry.train.on, split="train")
        plan.recipes[name] = assemble.recipe_document(suite, name, plan.training[entry.train.on])
        if entry.train.augment is not None:
            assemble.check_on(suite, entry.train.augment, plan.training[entry.train.on], entry.train.on)
    try:
        module = new_module(plan, name, mine[0].dataset)
    except ModelError as error:
        plan.broken[name] = error
        return None
    assemble.load_weights(module, suite, name, trust_pickle=trust_pickle)
    return module


def new_module(plan: Plan, name: str, dataset: str) -> nn.Module:
    """A model's module with fresh weights, shaped for the data that it is trained on, or else for ``dataset``."""
    entry = plan.suite.models[name]
    code = code_of(entry, plan.suite, "")
    data = plan.training[entry.train.on] if entry.train is not None else plan.datasets[dataset]
    if code is not None or MODELS.find(entry.use)[0].builds_itself:
        return assemble.build_module(plan.suite, name, shape=(), outputs=0)
    shape = next(iter(data.shapes(canvas=entry.size).values()))
    return assemble.build_module(plan.suite, name, shape=shape, outputs=assemble.output_count(data))


def _fits_loaded(plan: Plan, pair: Pair, module: nn.Module | None) -> bool:
    """What the static check had to leave open: code declares its fields only once it is loaded."""
    dataset = plan.datasets[pair.dataset]
    if ":" in plan.suite.datasets[pair.dataset].use:
        assemble.check_on(plan.suite, pair.symmetry, dataset, pair.dataset)
    use = plan.suite.models[pair.model].use
    if ":" not in use:
        return assemble.fits(MODELS.find(use)[0].inputs, dataset.fields)
    inputs = getattr(module, "inputs", None)
    return assemble.fits(inputs if isinstance(inputs, Mapping) else (Image(),), dataset.fields)


def _cell(plan: Plan, pair: Pair, digest: str, *, device: str, limit: int | None) -> Cell:
    suite = plan.suite
    entry = suite.models[pair.model]
    place = (pair.symmetry, pair.dataset, entry.size)
    dataset = plan.datasets[pair.dataset]
    if place not in plan.prepared:
        plan.prepared[place] = assemble.prepare(suite, pair.symmetry, dataset, dataset.shapes(canvas=entry.size))
    identity = {
        "model": _model_identity(plan, pair),
        "dataset": {
            "digest": digest,
            "fields": {k: str(v) for k, v in dataset.fields.items()},
            "targets": {k: str(v) for k, v in dataset.targets.items()},
        },
        "preprocessing": {"size": entry.size, "mean": entry.mean, "std": entry.std},
        "symmetry": plan.prepared[place].document,
        "numerics": {**suite.numerics.model_dump(), "device": device.partition(":")[0]},
        "scores": suite.scores,
        "seed": suite.seed,
        "limit": limit,
        "versions": VERSIONS,
    }
    return Cell(pair, content_key(identity), identity)


def _model_identity(plan: Plan, pair: Pair) -> dict[str, Any]:
    suite, name = plan.suite, pair.model
    if name in plan.recipes:
        return {"recipe": content_key(plan.recipes[name])}
    code = assemble.code_digest(suite, name)
    return {
        **assemble.model_description(suite, name),
        "weights": assemble.weights_digest(suite, name),
        "shapes": {k: list(v) for k, v in plan.datasets[pair.dataset].shapes(canvas=suite.models[name].size).items()},
        "code": code or f"not cacheable {uuid.uuid4()}",
    }
