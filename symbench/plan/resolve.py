"""Cells with their keys: data loaded, elements drawn, models built once to see that they can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from symbench import assemble
from symbench.assemble import Prepared
from symbench.assemble.labels import Labels, declared_names
from symbench.assemble.model import (
    check_framing,
    describe,
    is_shaped,
    with_preprocessing,
)
from symbench.assemble.running import dtype_of, dtypes_document
from symbench.datasets.base import Aligned, Dataset
from symbench.errors import CellError, ConfigError, DataError
from symbench.events import Listener, Note, ignore
from symbench.identity import Reads
from symbench.models import MODELS
from symbench.models.inputs import takes
from symbench.models.source import Description
from symbench.plan.data import Data
from symbench.plan.forward import Made, why_unfit
from symbench.plan.keys import Cell, built_for, cell_of
from symbench.plan.pairs import Pair, idle, unknown_leaves
from symbench.plan.training import meant_for, origin, plan_training
from symbench.suite import Suite


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
        origins: everything that can change what a model computes, by model and what it is built for.
        dtypes: the dtypes that a model came in, that of its inputs first, by model and what it is built for.
        takes: the leaves of a dataset that a model takes, by (model, dataset).
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
    origins: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    dtypes: dict[tuple[str, str], str] = field(default_factory=dict)
    takes: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
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


Built = Callable[[Plan, str, Mapping[str, nn.Module]], None]
"""Called with a plan, a model's name, and its modules by the dataset that each is built for."""


def resolve(
    suite: Suite,
    chosen: Sequence[Pair],
    *,
    device: str,
    limit: int | None = None,
    trust_pickle: bool = False,
    forward: bool = False,
    built: Built | None = None,
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
        built: gets each model's modules, when its cells have their keys, before they are dropped.
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
                    plan.cells.append(cell_of(plan, pair, device=device, limit=limit))
            except DataError as error:
                plan.data[pair.dataset].broken = error
                plan.cells.append(cell_of(plan, pair, device=device, limit=limit))
            except CellError as error:  # it cannot say what it takes
                plan.broken[model] = error
                plan.cells.append(cell_of(plan, pair, device=device, limit=limit))
        if forward:
            plan.unfit |= _unfit(plan, model, modules, device)
        if built is not None:
            built(plan, model, modules)
    for labels in plan.labels.values():
        if labels is not None and labels.note is not None:
            listen(Note(labels.note, warning=True))
    leaves = dict.fromkeys(leaf for data in plan.data.values() for leaf in data.dataset.fields)
    problems = unknown_leaves(suite, chosen, list(leaves))
    if problems:
        raise ConfigError(problems)
    kinds = {kind: dict.fromkeys(pair.names()[kind] for pair in chosen) for kind in ("model", "dataset", "symmetry")}
    problems = idle(suite, [cell.pair for cell in plan.cells], kinds)
    if problems:
        raise ConfigError(problems)
    return plan


def _unfit(plan: Plan, model: str, modules: Mapping[str, nn.Module], device: str) -> dict[tuple[str, str], CellError]:
    """The datasets for which a model has no output, with the reason."""
    found: dict[tuple[str, str], CellError] = {}
    cells = {c.pair.dataset: c for c in plan.cells if c.pair.model == model and plan.broken_reason(c.pair) is None}
    entry, meant = plan.suite.models[model], meant_for(plan, model)
    for name, cell in cells.items():
        made, data = (
            Made(modules[built_for(entry, name)], entry, model, plan.takes[model, name], meant),
            plan.data[name],
        )
        try:
            why_unfit(made, plan.dataset_of(cell), data.shapes(entry.size), device, dtype_of(plan.suite))
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
                modules[built_for(entry, dataset)] = module
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
    reads = Reads()
    try:
        module = new_module(plan, name, dataset, reads)
    except DataError as error:
        if not assemble.built_for_data(entry):
            raise
        plan.data[dataset].broken = error
        return None
    told += assemble.load_weights(module, plan.suite, name, trust_pickle=trust_pickle)
    plan.dtypes[name, built_for(entry, dataset)] = dtypes_document(module, name)
    if ":" in entry.use:
        plan.known[name] = Description(classes=declared_names(module, name))
    plan.origins[name, built_for(entry, dataset)] = assemble.origin_document(plan.suite, name, module, reads)
    return module


def new_module(plan: Plan, name: str, dataset: str, reads: Reads | None = None) -> nn.Module:
    """A model's module with fresh weights, shaped for the data that it is trained on, or else for ``dataset``."""
    entry = plan.suite.models[name]
    data = plan.training[entry.train.on] if entry.train is not None else plan.data[dataset]
    if not is_shaped(entry):
        return assemble.build_module(plan.suite, name, shapes={}, outputs=0, reads=reads)
    if data.broken is not None:
        raise data.broken
    fields, known = data.dataset.fields, data.shapes(entry.size)
    shapes = {leaf: known[leaf] for leaf in takes(MODELS.row(entry.use).inputs, fields) or known}
    if entry.channels is not None:
        images = assemble.image_leaves(data.dataset)
        shapes = {leaf: (entry.channels, *s[1:]) if leaf in images else s for leaf, s in shapes.items()}
    # a library's model has classes of its own, for data that has none
    outputs = 0 if MODELS.row(entry.use).source and not data.dataset.targets else data.outputs(entry.size)
    return assemble.build_module(plan.suite, name, shapes=shapes, outputs=outputs, reads=reads)


def _fits_loaded(plan: Plan, pair: Pair, module: nn.Module | None) -> bool:
    """What the static check had to leave open: code declares its fields only once it is loaded."""
    fields = plan.data[pair.dataset].dataset.fields
    if plan.suite.symmetries[pair.symmetry].on not in fields:
        return False
    use = plan.suite.models[pair.model].use
    if ":" in use and module is None:
        return True  # it cannot be built and so cannot say: its cells fail
    chosen = assemble.inputs_of(plan.suite.models[pair.model], pair.model, module, fields)
    if chosen is not None:
        plan.takes[pair.model, pair.dataset] = chosen
    return chosen is not None
