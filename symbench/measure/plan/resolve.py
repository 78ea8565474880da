"""Cells with their keys: data loaded, elements drawn, models built once to see that they can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from torch import nn

from symbench.base.errors import CellError, ConfigError, DataError, ImpossiblePair
from symbench.base.events import Listener, Note, ignore
from symbench.base.identity import Reads
from symbench.domains.common.models.inputs import said
from symbench.domains.common.models.source import Description
from symbench.measure import assemble
from symbench.measure.assemble.labels import declared_names
from symbench.measure.assemble.model import check_framing, describe, with_preprocessing
from symbench.measure.assemble.running import dtype_of, dtypes_document
from symbench.measure.plan.data import Data
from symbench.measure.plan.document import Plan
from symbench.measure.plan.draft import Draft
from symbench.measure.plan.forward import Made, why_unfit
from symbench.measure.plan.keys import built_for, cell_of
from symbench.measure.plan.linear_probe import plan_linear_probe
from symbench.measure.plan.movable import check_movable
from symbench.measure.plan.pairs import Pair, idle, unknown_leaves
from symbench.measure.plan.training import check_recipe, origin, plan_training
from symbench.measure.plan.widths import settle_width
from symbench.measure.plan.workspace import Workspace
from symbench.measure.suite import Suite

Built = Callable[[Workspace, str, Mapping[str, nn.Module]], None]
"""Called with the plan as far as it is made, a model's name, and its modules by what each is built for: a dataset."""


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
) -> Workspace:
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

    Returns:
        The plan, and what was loaded to make it.

    Raises:
        ConfigError: data, weights or code cannot be had, or a group cannot act on what was loaded.
    """
    space = Workspace(Plan(suite, suite.asked(), limit), listen, planned_here=True)
    draft = Draft(space, device, trust_pickle, listen)
    for name in dict.fromkeys(pair.model for pair in chosen):
        _describe(draft, name)
    _load(draft, dict.fromkeys(pair.dataset for pair in chosen))
    for model in dict.fromkeys(pair.model for pair in chosen):
        mine = [pair for pair in chosen if pair.model == model]
        modules = _built(draft, model, mine)
        _key(draft, mine, next(iter(modules.values()), None))
        if draft.impossible:
            continue
        if forward:
            draft.mark_unfit(_unfit(draft.settle(), model, modules, device))
        if built is not None:
            built(draft.settle(), model, modules)
    if draft.impossible:
        raise ImpossiblePair(list(draft.impossible))
    for labels in draft.labels.values():
        if labels is not None and labels.note is not None:
            listen(Note(labels.note, warning=True))
    workspace = draft.settle()
    _check_all_used(workspace, chosen, draft.lacking)
    return workspace


def _load(draft: Draft, names: Iterable[str]) -> None:
    """Load datasets and look through them."""
    space, suite = draft.workspace, draft.workspace.suite
    for name in names:
        dataset = assemble.load_dataset(suite, name, listen=draft.listen)
        space.data[name] = Data.of(dataset, suite.where("datasets", name))
        space.data[name].tell(draft.listen)


def _key(draft: Draft, mine: Sequence[Pair], module: nn.Module | None) -> None:
    """Give each cell of a model its key; those whose data or model turns out to be broken get one of their own."""
    for pair in mine:
        try:
            if _fits_loaded(draft, pair, module):
                cell = cell_of(draft, pair)
                _check_movable(draft, pair, module)
                draft.cells.append(cell)
        except DataError as error:
            draft.workspace.data[pair.dataset].broken = error
            draft.cells.append(cell_of(draft, pair))
        except ImpossiblePair as error:  # all of them are told together
            draft.impossible.update(dict.fromkeys(error.problems))
        except CellError as error:  # it cannot say what it takes
            draft.broken[pair.model] = error
            draft.cells.append(cell_of(draft, pair))


def _check_movable(draft: Draft, pair: Pair, module: nn.Module | None) -> None:
    """Of what the suite says of outputs; what a model's own code says is that model's, and fails its cells."""
    space = draft.workspace
    entry = space.suite.models[pair.model]
    if entry.outputs and module is not None and draft.broken_reason(pair) is None:
        fields = space.data_of(pair.dataset).dataset.fields
        check_movable(space, pair, assemble.outputs_of(entry, module, fields))


def _check_all_used(space: Workspace, chosen: Sequence[Pair], lacking: Mapping[str, str]) -> None:
    """Refuse symmetries on leaves that no dataset turned out to have, and entries that no cell came of.

    Raises:
        ConfigError: with all of them.
    """
    leaves = dict.fromkeys(leaf for data in space.data.values() for leaf in data.dataset.fields)
    problems = unknown_leaves(space.suite, chosen, list(leaves))
    if problems:
        raise ConfigError(problems)
    kinds = {kind: dict.fromkeys(pair.names()[kind] for pair in chosen) for kind in ("model", "dataset", "symmetry")}
    problems = idle(space.suite, [cell.pair for cell in space.plan.cells], kinds, lacking)
    if problems:
        raise ConfigError(problems)


def _unfit(
    space: Workspace, model: str, modules: Mapping[str, nn.Module], device: str
) -> dict[tuple[str, str], CellError]:
    """The datasets for which a model has no output, with the reason, by (model, dataset)."""
    found: dict[tuple[str, str], CellError] = {}
    cells = {c.pair.dataset: c for c in space.plan.cells if c.pair.model == model and space.broken_reason(c) is None}
    entry = space.suite.models[model]
    for name, cell in cells.items():
        made = Made(modules[built_for(entry, name)], entry, model, cell.takes, space.meant_for(model))
        try:
            shapes = space.data_of(name).shapes(entry.size)
            why_unfit(made, space.dataset_of(cell), shapes, device, dtype_of(space.suite))
        except CellError as error:
            found[model, name] = error
    return found


def _describe(draft: Draft, name: str) -> None:
    """Take over the preprocessing that the model brings along; remember it as broken if that cannot be known."""
    space = draft.workspace
    draft.known[name] = Description()
    try:
        draft.known[name] = describe(space.suite, name)
    except CellError as error:
        draft.broken[name] = error
    space.plan = replace(space.plan, suite=with_preprocessing(space.suite, name, draft.known[name]))
    check_framing(space.suite, name)
    for note in draft.known[name].notes:
        draft.listen(Note(f"{name}: {note}", warning=True))


def _built(draft: Draft, name: str, mine: Sequence[Pair]) -> dict[str, nn.Module]:
    """Build the model, to see that it can be: names, weights and shapes; remember it as broken if not.

    Returns:
        Its modules, by the dataset that each is built for.
    """
    suite = draft.workspace.suite
    entry = suite.models[name]
    if name in draft.broken:
        return {}
    assemble.weights_digest(suite, name)
    datasets = list(dict.fromkeys(pair.dataset for pair in mine))
    modules: dict[str, nn.Module] = {}
    told: list[str] = []
    try:
        if entry.train is not None:
            plan_training(draft, name)
        else:
            settle_width(draft, name, datasets)
        for dataset in datasets:
            assemble.check_outputs(suite, name, dataset, draft.workspace.data_of(dataset).dataset.fields)
        for dataset in datasets if assemble.built_for_data(entry) else datasets[:1]:
            module = _tried(draft, name, dataset, told)
            if module is not None:
                modules[built_for(entry, dataset)] = module
                assemble.check_layers(module, suite, name)
                check_recipe(draft, name, module)
                plan_linear_probe(draft, name, module)
        if name in draft.recipes:
            draft.recipes[name] |= origin(draft, name)
    except CellError as error:
        draft.broken[name] = error
        return {}
    for note in dict.fromkeys(told):
        draft.listen(Note(f"{name}: {note}", warning=True))
    return modules


def _tried(draft: Draft, name: str, dataset: str, told: list[str]) -> nn.Module | None:
    """The model's module with its weights, of which something may have to be ``told``.

    None where it is built for a dataset that cannot be read.
    """
    space = draft.workspace
    entry, reads = space.suite.models[name], Reads()
    place = (name, built_for(entry, dataset))
    try:
        module = space.new_module(name, dataset, reads)
    except DataError as error:
        if not assemble.built_for_data(entry):
            raise
        space.data[dataset].broken = error
        return None
    told += assemble.load_weights(module, space.suite, name, trust_pickle=draft.trust_pickle)
    draft.dtypes[place] = dtypes_document(module, name)
    if ":" in entry.use:
        draft.known[name] = Description(classes=declared_names(module, name))
    draft.origins[place] = assemble.origin_document(space.suite, name, module, reads)
    return module


def _fits_loaded(draft: Draft, pair: Pair, module: nn.Module | None) -> bool:
    """What the static check had to leave open: code declares its fields only once it is loaded."""
    suite, fields = draft.workspace.suite, draft.workspace.data_of(pair.dataset).dataset.fields
    if suite.symmetries[pair.symmetry].on not in fields:
        return False
    entry = suite.models[pair.model]
    if ":" in entry.use and module is None:
        return True  # it cannot be built and so cannot say: its cells fail
    chosen = assemble.inputs_of(entry, pair.model, module, fields)
    if chosen is None:
        draft.lacking[pair.model] = (
            f"it takes {assemble.inputs_said(entry, module)}, and {pair.dataset} has {said(fields)}"
        )
    else:
        draft.takes[pair.model, pair.dataset] = chosen
    return chosen is not None
