"""Whether what a process has loaded for a plan is what the plan's keys speak of."""

from __future__ import annotations

from typing import Any

from symbench.base.errors import CellError, ConfigError, Problem
from symbench.base.identity import Reads, differences
from symbench.measure import assemble
from symbench.measure.plan.document import Cell
from symbench.measure.plan.keys import built_for
from symbench.measure.plan.workspace import Workspace
from symbench.measure.plan.wrapping import wrapper_document


def check_agreement(space: Workspace, cell: Cell, *, trust_pickle: bool = False) -> None:
    """Refuse to measure a cell whose model, symmetry or rule of labels is another here than where it was planned.

    Files may have been edited in the meantime, and another machine may have other ones: a result must not come to
    stand under the key of something else. The process that made the plan has what its keys speak of, and is not
    asked. Of data the workspace sees to it: :meth:`~symbench.measure.plan.workspace.Workspace.data_of`.

    Args:
        space: the plan, and what is loaded for it here.
        cell: one that is not known to be broken.
        trust_pickle: whether weights may be pickles that run code.

    Raises:
        CellError: something is another, with its name; or it cannot be had here.
    """
    if space.planned_here:
        return
    try:
        wrapper = wrapper_document(space, cell.pair, cell.takes)
        found = {**_of_symmetry(space, cell), **wrapper, **_of_model(space, cell, trust_pickle=trust_pickle)}
    except ConfigError as error:  # planning, it would be the suite that is wrong; by now it fails the cell
        raise CellError(error.problems) from error
    planned = {
        **{key: cell.identity[key] for key in ("symmetry", "valid", *wrapper)},
        "model": _planned_model(space, cell),
    }
    planned["model"] = {key: planned["model"].get(key) for key in found["model"]}
    changed = differences(planned, found)
    if changed:
        got = f"is not what was planned: {', '.join(changed)}"
        raise CellError(Problem(str(cell.pair), got, None, "The same command plans it anew."))


def _of_symmetry(space: Workspace, cell: Cell) -> dict[str, Any]:
    prepared, name = space.symmetry_of(cell.pair), cell.pair.dataset
    valid = assemble.validity_document(name, space.data_of(name).dataset, prepared)
    return {"symmetry": prepared.document, "valid": valid}


def _of_model(space: Workspace, cell: Cell, *, trust_pickle: bool) -> dict[str, Any]:
    """What can be said of the model that is built here; looked at once for each dataset that it is built for."""
    name = cell.pair.model
    place = (name, built_for(space.suite.models[name], cell.pair.dataset))
    if place not in space.origins:
        reads = Reads()
        module = space.new_module(name, cell.pair.dataset, reads)
        assemble.load_weights(module, space.suite, name, trust_pickle=trust_pickle)
        origin = assemble.origin_document(space.suite, name, module, reads)
        origin.pop("never cached", None)  # a number that never comes again, of code that nobody can look into
        if name not in space.plan.recipes:
            origin["weights"] = assemble.weights_digest(space.suite, name)
        space.origins[place] = origin
    return {"model": space.origins[place]}


def _planned_model(space: Workspace, cell: Cell) -> dict[str, Any]:
    recipe = space.plan.recipes.get(cell.pair.model)
    found: dict[str, Any] = cell.identity["model"] if recipe is None else recipe["origin"]
    return found
