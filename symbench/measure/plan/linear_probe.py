"""What a model's linear probe is fitted on, and what a cell's key says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from symbench.algebra.fields import Category
from symbench.base.errors import ConfigError, Problem
from symbench.measure.plan.draft import Draft
from symbench.measure.plan.pairs import Pair
from symbench.measure.plan.training import training_split
from symbench.measure.plan.workspace import Workspace
from symbench.measure.training.self_supervised import check_embedding

VERSION = 1
"""Raised when the numbers of a fitted probe change: part of its cells' keys."""


def plan_linear_probe(draft: Draft, name: str, module: nn.Module) -> None:
    """Load what a model's linear probe is fitted on; nothing where it has none.

    Raises:
        ConfigError: the model gives no embedding, or there is no training split of classes to fit it on.
        DataError: that cannot be read.
    """
    suite, entry = draft.workspace.suite, draft.workspace.suite.models[name]
    probe = entry.linear_probe
    if probe is None:
        return
    where = suite.where("models", name, "linear_probe")
    check_embedding(entry, module, "a linear probe", where)
    data = training_split(draft, probe.on)
    target = next(iter(data.dataset.targets.values()), None)
    if not isinstance(target, Category):
        got = f"{probe.on} has no labels" if target is None else f"the target of {probe.on} is {target}"
        raise ConfigError(
            Problem(where, f"{got}, and a linear probe tells classes", "a dataset with a class for each")
        )
    if probe.samples is not None and probe.samples > data.count:
        got = f"got {probe.samples:,} samples, and the training split of {probe.on} has {data.count:,}"
        raise ConfigError(Problem(where, got, f"{data.count:,} or less"))


def linear_probe_document(space: Workspace, cell: Pair, takes: Sequence[str]) -> dict[str, Any]:
    """What a cell's key says of its model's linear probe; nothing where it has none.

    Args:
        space: the plan, and what is loaded for it.
        cell: its names.
        takes: the leaves that the model takes.

    Raises:
        ConfigError: the training split does not have them, or is what the cell is measured on.
    """
    probe = space.suite.models[cell.model].linear_probe
    if probe is None:
        return {}
    data = space.training_of(probe.on)
    where = space.suite.where("models", cell.model, "linear_probe")
    if space.data_of(cell.dataset).digest == data.digest:
        got = f"the training split of {probe.on} is what is measured of {cell.dataset}"
        raise ConfigError(Problem(where, f"{got}: the probe would be tested on it", "a training split of its own"))
    lacking = [leaf for leaf in takes if leaf not in data.dataset.fields]
    if lacking:
        got = f"{probe.on} has no leaf {lacking[0]!r}, which {cell.model} takes of {cell.dataset}"
        raise ConfigError(Problem(where, got, "a dataset with its leaves"))
    document = {"data": data.digest, "samples": probe.samples, "version": VERSION, **data.declared}
    return {"linear_probe": document}
