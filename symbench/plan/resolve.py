"""Cells with their keys: data loaded, elements drawn, models built once to see that they can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from symbench import assemble
from symbench.assemble import Prepared
from symbench.assemble.labels import Labels, declared_names, match_labels
from symbench.assemble.model import (
    check_framing,
    check_images,
    describe,
    framing,
    is_shaped,
    with_preprocessing,
)
from symbench.code import foreign
from symbench.datasets.base import Aligned, Dataset
from symbench.errors import CellError, ConfigError, DataError, ModelError
from symbench.events import Listener, Note, ignore
from symbench.fields import Image
from symbench.models import MODELS
from symbench.models.source import Description
from symbench.plan.data import Data
from symbench.plan.forward import why_unfit
from symbench.plan.pairs import Pair, fits, idle, unknown_leaves
from symbench.plan.training import origin, plan_training
from symbench.store import content_key
from symbench.suite import ModelEntry, Suite

VERSIONS = {"evaluate": 2, "order": 1}
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
        suite: the suite, its models with the preprocessing that they bring along.
        cells: in the order in which they will run, model by model.
        data: datasets by name.
        training: training splits, by the name of the dataset.
        prepared: symmetries by (symmetry, dataset, size).
        recipes: the recipe's document of every model that is trained.
        known: what is known of each model before it is built.
        states: SHA-256 of the weights with which code or a library builds a model, by model and what it is built for.
        labels: how the labels of a dataset are read for a model, by (model, dataset).
        broken: models that cannot be built, with the reason; their cells fail.
        unfit: why models have no output for a dataset of theirs, by (model, dataset), if that was looked for.
        asked: SHA-256 of what the suite asked for, before anything was filled in.
    """

    suite: Suite
    cells: list[Cell] = field(default_factory=list)
    data: dict[str, Data] = field(default_factory=dict)
    training: dict[str, Data] = field(default_factory=dict)
    prepared: dict[tuple[str, str, int | None], Prepared] = field(default_factory=dict)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    known: dict[str, Description] = field(default_factory=dict)
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    labels: dict[tuple[str, str], Labels | None] = field(default_factory=dict)
    broken: dict[str, CellError] = field(default_factory=dict)
    unfit: dict[tuple[str, str], CellError] = field(default_factory=dict)
    asked: str = ""

    def dataset_of(self, cell: Cell) -> Dataset:
        """The dataset of a cell, with the outputs of its model for labels."""
        dataset = self.data[cell.pair.dataset].dataset
        labels = self.labels.get((cell.pair.model, cell.pair.dataset))
        return dataset if labels is None or labels.outputs is None else Aligned(dataset, labels.outputs)

    def symmetry_of(self, cell: Cell) -> Prepared:
        """The symmetry of a cell, built for its dataset and the model's canvas."""
        size = self.suite.models[cell.pair.model].size
        return self.prepared[cell.pair.symmetry, cell.pair.dataset, size]

    def broken_reason(self, pair: Pair) -> CellError | None:
        """Why a cell cannot be measured, if that is known before it is tried."""
        unfit = self.unfit.get((pair.model, pair.dataset))
        return self.broken.get(pair.model) or self.data[pair.dataset].broken or unfit


def resolve(
    suite: Suite,
    chosen: Sequence[Pair],
    *,
    device: str,
    limit: int | None = None,
    trust_pickle: bool = False,
    forward: bool = False,
    listen: Listener = ignore,
) -> Plan:
    """Load what the cells need and give each its key. Nothing is written.

    Args:
        suite: the suite.
        chosen: its cells, from :func:`pairs`.
        device: where it will run; the kind of device is part of the key.
        limit: take only the first samples of each dataset's order.
        trust_pickle: let weights be pickles that may run code.
        forward: run each model on one black image, to see that it has an output for every label.
        listen: hears how far the looking through data has come, and of what is done otherwise than a library does it.

    Raises:
        ConfigError: data, weights or code cannot be had, or a group cannot act on what was loaded.
    """
    plan = Plan(suite, asked=suite.asked())
    for name in dict.fromkeys(pair.model for pair in chosen):
        _describe(plan, name, listen)
    suite = plan.suite
    for name in dict.fromkeys(pair.dataset for pair in chosen):
        plan.data[name] = Data.of(assemble.load_dataset(suite, name, listen=listen), suite.where("datasets", name))
        plan.data[name].tell(listen)
    for model in dict.fromkeys(pair.model for pair in chosen):
        mine = [pair for pair in chosen if pair.model == model]
        modules = _built(plan, model, mine, listen, trust_pickle=trust_pickle)
        module = next(iter(modules.values()), None)
        for pair in mine:
            try:
                if _fits_loaded(plan, pair, module):
                    plan.cells.append(_cell(plan, pair, device=device, limit=limit))
            except DataError as error:
                plan.data[pair.dataset].broken = error
                plan.cells.append(_cell(plan, pair, device=device, limit=limit))
            except CellError as error:  # it cannot say what it takes
                plan.broken[model] = error
                plan.cells.append(_cell(plan, pair, device=device, limit=limit))
        if forward:
            plan.unfit |= _unfit(plan, model, modules, device)
    for labels in plan.labels.values():
        if labels is not None and labels.note is not None:
            listen(Note(labels.note, warning=True))
    leaves = dict.fromkeys(leaf for data in plan.data.values() for leaf in data.dataset.fields)
    problems = unknown_leaves(suite, chosen, list(leaves))
    if problems:
        raise ConfigError(problems)
    for kind in ("model", "dataset", "symmetry"):
        busy = {cell.pair.names()[kind] for cell in plan.cells}
        problems += [idle(suite, kind, n) for n in dict.fromkeys(p.names()[kind] for p in chosen) if n not in busy]
    if problems:
        raise ConfigError(problems)
    return plan


def _unfit(plan: Plan, model: str, modules: Mapping[str, nn.Module], device: str) -> dict[tuple[str, str], CellError]:
    """The datasets for which a model has no output, with the reason."""
    found: dict[tuple[str, str], CellError] = {}
    cells = {c.pair.dataset: c for c in plan.cells if c.pair.model == model and plan.broken_reason(c.pair) is None}
    for name, cell in cells.items():
        entry, data = plan.suite.models[model], plan.data[name]
        module = modules[_built_for(entry, name)]
        try:
            why_unfit(module, entry, model, plan.dataset_of(cell), data.shapes(entry.size), device, dtype_of(plan))
        except CellError as error:
            found[model, name] = error
    return found


def _describe(plan: Plan, name: str, listen: Listener) -> None:
    """Take over the preprocessing that the model brings along; remember it as broken if that cannot be known."""
    plan.known[name] = Description()
    try:
        plan.known[name] = describe(plan.suite, name)
    except CellError as error:
        plan.broken[name] = error
    plan.suite = with_preprocessing(plan.suite, name, plan.known[name])
    check_framing(plan.suite, name)
    for note in plan.known[name].notes:
        listen(Note(f"{name}: {note}", warning=True))


def _built(plan: Plan, name: str, mine: list[Pair], listen: Listener, *, trust_pickle: bool) -> dict[str, nn.Module]:
    """Build the model, to see that it can be: names, weights and shapes; remember it as broken if not.

    Returns:
        Its modules, by the dataset that each is built for.
    """
    suite, entry = plan.suite, plan.suite.models[name]
    if name in plan.broken:
        return {}
    assemble.weights_digest(suite, name)
    datasets = list(dict.fromkeys(pair.dataset for pair in mine))
    modules: dict[str, nn.Module] = {}
    told: list[str] = []
    try:
        if entry.train is not None:
            plan_training(plan, name, listen)
        for dataset in datasets if assemble.built_for_data(entry) else datasets[:1]:
            module = _tried(plan, name, dataset, told, trust_pickle=trust_pickle)
            if module is not None:
                modules[_built_for(entry, dataset)] = module
                assemble.check_layers(module, suite, name)
        if name in plan.recipes:
            plan.recipes[name] |= origin(plan, name)
    except CellError as error:
        plan.broken[name] = error
        return {}
    for note in dict.fromkeys(told):
        listen(Note(f"{name}: {note}", warning=True))
    return modules


def _tried(plan: Plan, name: str, dataset: str, told: list[str], *, trust_pickle: bool) -> nn.Module | None:
    """The model's module with its weights, of which something may have to be ``told``.

    None where it is built for a dataset that cannot be read.
    """
    entry = plan.suite.models[name]
    try:
        module = new_module(plan, name, dataset)
    except DataError as error:
        if not assemble.built_for_data(entry):
            raise
        plan.data[dataset].broken = error
        return None
    told += assemble.load_weights(module, plan.suite, name, trust_pickle=trust_pickle)
    if ":" in entry.use:
        plan.known[name] = Description(classes=declared_names(module, name))
    if assemble.is_foreign(entry):
        plan.states[name, _built_for(entry, dataset)] = assemble.state_digest(module, name)
    return module


def _built_for(entry: ModelEntry, dataset: str) -> str:
    """The dataset that a model's module is built for when it meets this one; empty where it is always the same."""
    return dataset if assemble.built_for_data(entry) else ""


def new_module(plan: Plan, name: str, dataset: str) -> nn.Module:
    """A model's module with fresh weights, shaped for the data that it is trained on, or else for ``dataset``."""
    entry = plan.suite.models[name]
    data = plan.training[entry.train.on] if entry.train is not None else plan.data[dataset]
    if not is_shaped(entry):
        return assemble.build_module(plan.suite, name, shape=(), outputs=0)
    if data.broken is not None:
        raise data.broken
    leaf, shape = next(iter(data.shapes(entry.size).items()))
    if entry.channels is not None and leaf in assemble.image_leaves(data.dataset):
        shape = (entry.channels, *shape[1:])
    # a library's model has classes of its own, for data that has none
    outputs = 0 if MODELS.find(entry.use)[0].source and not data.dataset.targets else data.outputs(entry.size)
    return assemble.build_module(plan.suite, name, shape=shape, outputs=outputs)


def _fits_loaded(plan: Plan, pair: Pair, module: nn.Module | None) -> bool:
    """What the static check had to leave open: code declares its fields only once it is loaded."""
    fields = plan.data[pair.dataset].dataset.fields
    if plan.suite.symmetries[pair.symmetry].on not in fields:
        return False
    use = plan.suite.models[pair.model].use
    if ":" not in use:
        return fits(MODELS.find(use)[0].inputs, fields)
    if module is None:
        return True  # it cannot be built and so cannot say: its cells fail
    with foreign(ModelError, pair.model, "reading what it declares"):
        inputs = getattr(module, "inputs", None)
    return fits(inputs if isinstance(inputs, Mapping) else (Image(),), fields)


def _cell(plan: Plan, pair: Pair, *, device: str, limit: int | None) -> Cell:
    suite = plan.suite
    reason = plan.broken_reason(pair)
    if reason is not None:
        return Cell(pair, content_key(["broken", str(pair), str(reason)]), {})
    entry = suite.models[pair.model]
    place = (pair.symmetry, pair.dataset, entry.size)
    data = plan.data[pair.dataset]
    shapes = data.shapes(assemble.canvas(suite, pair.symmetry, pair.model))
    check_images(suite, pair.model, plan.known[pair.model], data.dataset, shapes)
    if place not in plan.prepared:
        plan.prepared[place] = assemble.prepare(suite, pair.symmetry, data.dataset, shapes)
    labels = _labels(plan, pair)
    identity = {
        "model": _model_identity(plan, pair),
        "dataset": {
            "digest": data.digest,
            "fields": {k: str(v) for k, v in data.dataset.fields.items()},
            "targets": {k: str(v) for k, v in data.dataset.targets.items()},
            "valid": assemble.validity_document(suite, pair.dataset, data.dataset),
        },
        "preprocessing": {
            "size": entry.size,
            "channels": entry.channels,
            "mean": entry.mean,
            "std": entry.std,
            **framing(entry),
        },
        "symmetry": plan.prepared[place].document,
        "numerics": {**suite.numerics.model_dump(), "device": device.partition(":")[0]},
        "layers": entry.layers,
        "scores": suite.scores,
        "controls": suite.controls.model_dump(),
        "seed": suite.seed,
        "limit": limit,
        "versions": VERSIONS,
        **({"labels": labels.outputs} if labels is not None and labels.outputs is not None else {}),
    }
    return Cell(pair, content_key(identity), identity)


def _labels(plan: Plan, pair: Pair) -> Labels | None:
    """Which outputs the classes of the data are; None where it has no class labels. Found once for each dataset."""
    place = (pair.model, pair.dataset)
    if place not in plan.labels:
        recipe, names = plan.suite.models[pair.model].train, plan.known[pair.model].classes
        learnt = plan.training[recipe.on].dataset if recipe is not None else None
        dataset = plan.data[pair.dataset].dataset
        plan.labels[place] = match_labels(plan.suite, pair.model, pair.dataset, dataset, names, learnt)
    return plan.labels[place]


def _model_identity(plan: Plan, pair: Pair) -> dict[str, Any]:
    suite, name = plan.suite, pair.model
    if name in plan.recipes:
        return {"recipe": content_key(plan.recipes[name])}
    shapes = plan.data[pair.dataset].shapes(suite.models[name].size)
    return {
        **assemble.model_description(suite, name),
        "weights": assemble.weights_digest(suite, name),
        "source": plan.known[name].identity,
        "state": plan.states.get((name, _built_for(suite.models[name], pair.dataset))),
        "shapes": {leaf: list(shape) for leaf, shape in shapes.items()},
        "code": assemble.code_digest(suite, name),
    }


def dtype_of(plan: Plan) -> torch.dtype:
    """What models compute in."""
    found: torch.dtype = getattr(torch, plan.suite.numerics.dtype)
    return found
