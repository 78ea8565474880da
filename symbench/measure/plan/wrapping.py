"""What a model's entry wraps it by: a symmetry of the suite, prepared for the data that the model meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from symbench.algebra.actions.base import Action
from symbench.base.errors import ConfigError, ImpossiblePair, ModelError, Problem
from symbench.domains.common.models.base import Model
from symbench.domains.common.models.orbit import OfOutput, Orbit
from symbench.domains.common.models.wrapped import Averaged, Canonicalised, Wrapped
from symbench.measure.assemble import Prepared
from symbench.measure.plan.document import Cell
from symbench.measure.plan.pairs import Pair
from symbench.measure.plan.workspace import Workspace
from symbench.measure.tasks import fitting, pair, shaped

WRAPPERS: dict[str, type[Wrapped]] = {"average": Averaged, "canonicalise": Canonicalised}
VERSION = 1
"""Raised when the numbers of a wrapped model change: part of its cells' keys."""


def wrapper_document(space: Workspace, cell: Pair, takes: Sequence[str]) -> dict[str, Any]:
    """What a cell's key says of how its model is wrapped; nothing where it is not.

    Args:
        space: the plan, and what is loaded for it.
        cell: its names.
        takes: the leaves that the model takes.

    Raises:
        ConfigError: the model cannot be wrapped by that symmetry, with the reason and what to do.
    """
    found = {}
    for key, symmetry in space.suite.models[cell.model].wrappers.items():
        prepared = _prepared(space, cell, symmetry, key)
        _orbit(space, cell, key, prepared, takes, _unasked)
        found = {"wrapped": {key: prepared.document, "version": VERSION}}
    return found


def wrapped(space: Workspace, model: Model, cell: Cell) -> Model:
    """A model that is ready, behind what its entry wraps it by; the same where that is nothing.

    Raises:
        ConfigError: as :func:`wrapper_document`.
    """
    for key, symmetry in space.suite.models[cell.pair.model].wrappers.items():
        prepared = _prepared(space, cell.pair, symmetry, key)
        orbit = _orbit(space, cell.pair, key, prepared, cell.takes, _of_outputs(space, model, cell, prepared))
        module = WRAPPERS[key](model.module, orbit, model.outputs, model.name).eval()
        model = replace(model, module=module)
    return model


def _prepared(space: Workspace, cell: Pair, symmetry: str, key: str) -> Prepared:
    entry, dataset = space.suite.symmetries[symmetry], space.data_of(cell.dataset).dataset
    where = space.suite.where("models", cell.model, key)
    if entry.on not in dataset.fields:
        raise ImpossiblePair(Problem(where, f"{cell.dataset} has no leaf {entry.on!r}, which {symmetry} is on"))
    if entry.options.get("margin"):
        raise ConfigError(Problem(where, f"{symmetry} crops", "a symmetry that keeps the frame"))
    prepared = space.symmetry_of(replace(cell, symmetry=symmetry))
    sizes = dataset.sizes.get(prepared.lookup.moved)
    if sizes is not None and len(set(sizes)) > 1:
        # one group for all of them would bring padding in among what is real
        got = f"samples of {cell.dataset} have {prepared.lookup.moved} in different numbers, and {symmetry} moves all"
        raise ImpossiblePair(Problem(where, got, "as many in every sample"))
    return prepared


def _orbit(
    space: Workspace, cell: Pair, key: str, prepared: Prepared, takes: Sequence[str], of_output: OfOutput
) -> Orbit:
    actions = {leaf: prepared.actions[leaf] for leaf in takes}
    where = space.suite.where("models", cell.model, key)
    beside = next((leaf for leaf, action in actions.items() if action.beside), None)
    if beside is not None:
        got = f"{beside!r} is moved by {actions[beside].beside[0]!r}, and here each leaf by itself"
        raise ImpossiblePair(Problem(where, got, "a symmetry that moves every leaf by itself"))
    # a design is spread evenly enough to average over; a choice among its elements would depend on where they begin
    design = prepared.elements if key == "average" else None
    return Orbit.of(prepared.group, actions, prepared.on, of_output, where=where, design=design)


def _unasked(name: str, shape: tuple[int, ...], side: int) -> Action:
    raise ValueError(f"output {name!r} of shape {shape} is seen before there is a model, at {side}")


def _of_outputs(space: Workspace, model: Model, cell: Cell, prepared: Prepared) -> OfOutput:
    """The actions on a model's outputs, which are taken for what measuring takes them for."""
    name, suite = cell.pair.model, space.suite
    targets, trained = space.dataset_of(cell).targets, name in space.plan.recipes
    known = pair(model.outputs, targets, scale=suite.scores, meant=space.meant_for(name), trained=trained)
    opened = {each.output: each for each in known}

    def action_on(output: str, shape: tuple[int, ...], side: int) -> Action:
        with fitting(name):
            task = opened[output].of(shape)
        try:
            action = prepared.action_on(task.field, f"output {output}")
        except ConfigError as error:
            raise ModelError(Problem(name, f"output {output!r}: {error}", None, task.unmoved)) from error
        reason = action.immovable(shape, side if action.in_input_units else 0)
        if reason is not None:
            got = f"output {output!r} of shape {shaped(shape)} cannot be moved back as {task.field}: {reason}"
            raise ModelError(Problem(name, got, None, task.unmoved))
        return action

    return action_on
