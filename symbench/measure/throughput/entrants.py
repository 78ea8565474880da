"""Which models are timed on which dataset, under which key, and how many passes there are of each already."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from symbench.algebra.actions.base import ready
from symbench.base.environment import hardware
from symbench.base.errors import ConfigError
from symbench.base.passes import HARDWARE
from symbench.base.records import PassStatus
from symbench.measure.assemble import canvas
from symbench.measure.execution.ledger import Ledger
from symbench.measure.plan.document import Cell
from symbench.measure.plan.workspace import Workspace
from symbench.measure.store import Store, content_key

VERSION = 1
"""Raised when a pass measures something else: part of every key."""


@dataclass(frozen=True)
class Entrant:
    """A model on a dataset, to be timed.

    Attributes:
        cell: the first of its cells that is measured: its samples are brought to the model as there.
        key: the hash of ``identity``.
        identity: what its times depend on, hardware and its load apart.
    """

    cell: Cell
    key: str
    identity: dict[str, Any]

    @property
    def names(self) -> tuple[str, str]:
        """Its model and dataset."""
        return self.cell.pair.model, self.cell.pair.dataset


def entrants(space: Workspace, measured: Collection[Cell]) -> dict[str, list[Entrant]]:
    """The models to be timed on each dataset, in the order of the plan.

    Args:
        space: the plan, and what is loaded for it.
        measured: the cells that have a result; a model without any is not timed.

    Returns:
        By dataset; nothing where the suite asks for no passes.
    """
    if space.suite.throughput is None:
        return {}
    found: dict[str, dict[str, Entrant]] = {}
    for cell in measured:
        mine = found.setdefault(cell.pair.dataset, {})
        if cell.pair.model not in mine:
            mine[cell.pair.model] = _entrant(space, cell)
    return {dataset: list(models.values()) for dataset, models in found.items()}


def _entrant(space: Workspace, cell: Cell) -> Entrant:
    settings = space.suite.throughput
    assert settings is not None
    identity = {
        "version": VERSION,
        "model": cell.identity["model"],
        "numerics": cell.identity["numerics"],
        "preprocessing": cell.identity["preprocessing"],
        "shapes": _shapes(space, cell),
        "settings": settings.model_dump(exclude={"passes"}),
    }
    return Entrant(cell, content_key(identity), identity)


def _shapes(space: Workspace, cell: Cell) -> dict[str, list[int]]:
    """The shape of one sample of each leaf that the model takes, behind what the symmetry's border crops."""
    known = space.data_of(cell.pair.dataset).shapes(canvas(space.suite, cell.pair.symmetry, cell.pair.model))
    actions = space.symmetry_of(cell.pair).actions
    empty = ready(actions, {leaf: torch.zeros(1, *known[leaf]) for leaf in actions})
    return {leaf: list(actions[leaf].finish(empty[leaf]).shape[1:]) for leaf in cell.takes}


def lacking(
    space: Workspace,
    ledger: Ledger,
    models: Mapping[str, Sequence[Entrant]],
    asked: int | None,
    failed: Collection[str] = (),
) -> dict[str, int]:
    """How many more passes it takes, by dataset, until every model has as many as are wanted.

    All models of a dataset get as many anew, in turns: times of one pass can be held side by side.

    Args:
        space: the plan.
        ledger: where the results are, and the device.
        models: by dataset.
        asked: passes of each on hardware like this; None for as many as the suite says, wherever they were taken.
        failed: the keys of models that could not be timed: on their account none is taken that was not asked for.

    Returns:
        Datasets that lack none are left out.
    """
    settings = space.suite.throughput
    wanted = asked or (0 if settings is None else settings.passes)
    here = None if asked is None else hardware(ledger.settings.device)
    hopeless = failed if asked is None else ()
    counts = {
        dataset: max(
            (wanted - _count(ledger.store, each.key, here) for each in several if each.key not in hopeless), default=0
        )
        for dataset, several in models.items()
    }
    return {dataset: count for dataset, count in counts.items() if count > 0}


def seconds_at_least(space: Workspace, models: Mapping[str, Sequence[Entrant]], lacks: Mapping[str, int]) -> float:
    """What passes take at least, warm-up and loading apart."""
    settings = space.suite.throughput
    if settings is None:
        return 0.0
    sizes = 1 + settings.latency + len(settings.sweep)
    return settings.seconds * sizes * sum(len(models[dataset]) * count for dataset, count in lacks.items())


def _count(store: Store, key: str, here: Mapping[str, Any] | None) -> int:
    found = 0
    for file in store.files_of_passes(key):
        try:
            record = store.pass_of(key, file)
        except ConfigError:
            continue
        found += here is None or all(record.hardware[name] == here[name] for name in HARDWARE if name in here)
    return found


def listed(store: Store, models: Mapping[str, Sequence[Entrant]]) -> list[PassStatus]:
    """Every pass that the results folder has of some models, as a manifest lists them."""
    return [
        PassStatus(model=each.cell.pair.model, dataset=dataset, key=each.key, file=file)
        for dataset, mine in models.items()
        for each in mine
        for file in store.files_of_passes(each.key)
    ]
